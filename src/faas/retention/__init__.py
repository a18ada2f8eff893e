"""Retention: what is kept how long. Partitions of executions are created ahead and dropped, payloads are cleared."""

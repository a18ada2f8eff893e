"""Executions: running a function, keeping the record of it, and closing the records of processes that died."""

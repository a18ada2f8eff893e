"""Executions: invoking functions, recording the invocations, and reaping the executions of processes that died."""

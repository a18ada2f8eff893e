"""The HTTP/1.1 server: uvicorn with limits, a fast path for executions, and graceful shutdown."""

"""HTTP/1.1 and the life cycle of the serving process: uvicorn with limits, a fast path and graceful shutdown."""

"""Advisory locks: of all processes and commands on one database, one does a background task at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from faas.database import server_queries
from faas.database.pool import TRANSIENT_ERRORS, Connection


@asynccontextmanager
async def advisory_lock(connection: Connection, key: int) -> AsyncIterator[bool]:
    """Hold the lock `key` of the session for the block if it is free, and yield whether it is held."""
    locked = await server_queries.try_lock(connection, key=key)
    try:
        yield locked
    finally:
        if locked:
            with suppress(*TRANSIENT_ERRORS):  # a lost connection has released it
                await server_queries.unlock(connection, key=key)

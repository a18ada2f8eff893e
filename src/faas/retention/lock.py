"""The advisory lock of retention: of all processes and commands on one database, one prunes at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from faas.database.pool import TRANSIENT_ERRORS, Connection
from faas.retention import queries

ADVISORY_LOCK_KEY = 0x66616173_72657400  # "faasret" in ASCII


@asynccontextmanager
async def advisory_lock(connection: Connection) -> AsyncIterator[bool]:
    """Hold the lock for the block if it is free, and yield whether it is held."""
    locked = await queries.try_lock(connection, key=ADVISORY_LOCK_KEY)
    try:
        yield locked
    finally:
        if locked:
            with suppress(*TRANSIENT_ERRORS):  # a lost connection has released it
                await queries.unlock(connection, key=ADVISORY_LOCK_KEY)

"""The advisory lock of retention: of all processes and commands on one database, one prunes at a time."""

from contextlib import AbstractAsyncContextManager

from faas.database import advisory_lock as locks
from faas.database.pool import Connection

ADVISORY_LOCK_KEY = 0x66616173_72657400  # "faasret" in ASCII


def advisory_lock(connection: Connection) -> AbstractAsyncContextManager[bool]:
    """Hold the lock for the block if it is free, and yield whether it is held."""
    return locks.advisory_lock(connection, ADVISORY_LOCK_KEY)

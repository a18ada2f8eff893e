"""Typed functions for the statements of sql/queries/engines.sql, one for each statement.

Each takes a connection, so that the caller's transaction covers the statement.
"""

from faas.database.pool import Connection
from faas.database.queries import load

_sql = load("engines")


async def get_engine_number(connection: Connection, *, digest: bytes) -> int | None:
    """Return the place of an engine in the order of engines, or None when it is not registered."""
    number: int | None = await _sql.get_engine_number(connection, digest=digest)
    return number


async def register_engine(connection: Connection, *, digest: bytes, name: str) -> None:
    """Make an engine the newest one, unless it is registered, or another one is registered at the same time."""
    await _sql.register_engine(connection, digest=digest, name=name)


async def keep_engine(connection: Connection, *, digest: bytes) -> bool:
    """Return whether the engine is stored, and begin its grace period again."""
    stored: bool = await _sql.keep_engine(connection, digest=digest)
    return stored


async def store_engine(connection: Connection, *, digest: bytes, binary: bytes) -> None:
    """Store an engine module under its SHA-256 digest, unless it is stored already."""
    await _sql.store_engine(connection, digest=digest, binary=binary)


async def get_engine(connection: Connection, *, digest: bytes) -> bytes | None:
    """Return a stored engine module, or None when there is none with this digest."""
    binary: bytes | None = await _sql.get_engine(connection, digest=digest)
    return binary

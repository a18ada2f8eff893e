"""Typed functions for the statements of sql/queries/database.sql, one for each statement."""

from datetime import datetime

import msgspec

from faas.database.pool import Connection
from faas.database.queries import load

_sql = load("database")


class Server(msgspec.Struct, frozen=True):
    """The row of `describe_server`."""

    major: int
    version: str
    encoding: str
    standby: bool
    read_only: bool
    role: str
    database: str
    schema: str | None
    temporary_schema: bool
    may_create_schemas: bool
    may_create_tables: bool
    free_connections: int
    now: datetime


class Backend(msgspec.Struct, frozen=True):
    """The row of `identify_backend`: one server process."""

    pid: int
    started: datetime | None


async def describe_server(connection: Connection) -> Server:
    """Return what a start needs to know of the server, the database and the role."""
    return Server(**await _sql.describe_server(connection))


async def identify_backend(connection: Connection) -> Backend:
    """Return the server process that runs this statement."""
    return Backend(**await _sql.identify_backend(connection))


async def try_lock(connection: Connection, *, key: int) -> bool:
    """Take the advisory lock for the session; return False when another one holds it."""
    locked: bool = await _sql.try_lock(connection, key=key)
    return locked


async def unlock(connection: Connection, *, key: int) -> bool:
    """Release the advisory lock; return False when the session does not hold it."""
    released: bool = await _sql.unlock(connection, key=key)
    return released

"""Typed functions for the statements of sql/queries/doctor.sql, one for each statement.

Each takes a connection, so that the caller's read-only transaction covers the statement.
"""

import msgspec

from faas.database.pool import Connection
from faas.database.queries import load

_sql = load("doctor")


class Pgmq(msgspec.Struct, frozen=True):
    """The row of `describe_pgmq`."""

    installed: bool
    has_headers: bool
    extension: str | None
    available: str | None
    may_use: bool


class Table(msgspec.Struct, frozen=True):
    """One row of `list_tables`."""

    name: str
    may_use: bool
    may_alter: bool


class Migration(msgspec.Struct, frozen=True):
    """One row of `list_migrations`."""

    version: int
    name: str
    sha256: str


async def describe_pgmq(connection: Connection) -> Pgmq:
    """Return how pgmq is installed, and whether this role may use it."""
    return Pgmq(**await _sql.describe_pgmq(connection))


async def list_tables(connection: Connection) -> list[Table]:
    """Return those tables of faas that exist in the current schema."""
    return [Table(**row) async for row in _sql.list_tables(connection)]


async def list_migrations(connection: Connection) -> list[Migration]:
    """Return the applied migrations. Raises asyncpg.InsufficientPrivilegeError when the role may not read them."""
    return [Migration(**row) async for row in _sql.list_migrations(connection)]

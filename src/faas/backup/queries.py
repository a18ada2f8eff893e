"""Typed functions for the statements of sql/queries/backup.sql, one for each statement.

Each takes a connection, so that the caller's transaction covers the statement.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from faas.database.pool import Connection
from faas.database.queries import load

_sql = load("backup")


class BackupInfoRow(msgspec.Struct, frozen=True):
    """The row of `get_backup_info`. `pgmq` is the version of the extension; None when pgmq is not an extension."""

    taken_at: datetime
    postgres: str
    pgmq: str | None


class MigrationRow(msgspec.Struct, frozen=True):
    """One row of `list_migrations`."""

    name: str
    sha256: str


class ColumnRow(msgspec.Struct, frozen=True):
    """One row of `list_columns`; `type` is the type's name in Postgres."""

    table_name: str
    name: str
    type: str


class PositionRow(msgspec.Struct, frozen=True):
    """One row of `list_positions`: the last message id that `queue` assigned."""

    queue: str
    position: int


async def get_backup_info(connection: Connection) -> BackupInfoRow:
    """Return the time of the transaction's snapshot and the versions of Postgres and pgmq."""
    return BackupInfoRow(**await _sql.get_backup_info(connection))


async def list_migrations(connection: Connection) -> list[MigrationRow]:
    """Return the applied migrations in order. Raises asyncpg.UndefinedTableError in a database without any."""
    return [MigrationRow(**row) async for row in _sql.list_migrations(connection)]


async def list_columns(connection: Connection, *, tables: Sequence[str]) -> list[ColumnRow]:
    """Return the columns of those of `tables` that exist, without generated columns."""
    return [ColumnRow(**row) async for row in _sql.list_columns(connection, tables=tables)]


async def list_positions(connection: Connection, *, queues: Sequence[str]) -> list[PositionRow]:
    """Return the last message id of those of `queues` that exist."""
    return [PositionRow(**row) async for row in _sql.list_positions(connection, queues=queues)]


async def find_relation(connection: Connection) -> str | None:
    """Return the name of a relation that makes the database non-empty, or None when it is empty."""
    relation: str | None = await _sql.find_relation(connection)
    return relation


async def set_position(connection: Connection, *, queue: str, position: int) -> int:
    """Set the last message id of `queue`; return the value of its sequence."""
    value: int = await _sql.set_position(connection, queue=queue, position=position)
    return value


async def check_constraints(connection: Connection) -> None:
    """Check the constraints that are deferred to the end of the transaction."""
    await _sql.check_constraints(connection)


async def close_running(connection: Connection, *, taken_at: datetime) -> int:
    """Close all RUNNING executions as interrupted at `taken_at`; return their number."""
    count: int = await _sql.close_running(connection, taken_at=taken_at)
    return count


async def release_jobs(connection: Connection) -> int:
    """Make in-flight messages of `compilation_jobs` visible; return their number."""
    count: int = await _sql.release_jobs(connection)
    return count


async def release_results(connection: Connection) -> int:
    """Make in-flight messages of `compilation_results` visible; return their number."""
    count: int = await _sql.release_results(connection)
    return count

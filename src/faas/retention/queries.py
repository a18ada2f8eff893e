"""Typed functions for the statements of sql/queries/retention.sql, one for each statement.

Each takes a connection, so that the caller's transaction covers the statement.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from faas.database.pool import Connection
from faas.database.queries import load
from faas.retention.partitions import Partition

_sql = load("retention")


class StateRow(msgspec.Struct, frozen=True):
    """The row of `get_state`: the time, and what earlier runs have left."""

    now: datetime
    keeps_all: bool
    payloads_cleared: UUID | None
    checked_at: datetime | None
    paused_until: datetime | None


class SizeRow(msgspec.Struct, frozen=True):
    """Rows, and the bytes that they take."""

    rows: int
    bytes: int


class DeletedFunctionRow(msgspec.Struct, frozen=True):
    """A deleted function. No execution of a `settled` one can still be inserted."""

    function_id: UUID
    settled: bool


class TableSizeRow(msgspec.Struct, frozen=True):
    """The size of a table with its partitions and indexes."""

    name: str
    bytes: int


async def has_partitions(connection: Connection) -> bool:
    """Return whether the database's schema has the partitions."""
    found: bool = await _sql.has_partitions(connection)
    return found


async def get_state(connection: Connection) -> StateRow:
    """Return the state that runs share."""
    return StateRow(**await _sql.get_state(connection))


async def set_mark(
    connection: Connection,
    *,
    name: Literal["payloads_cleared", "checked", "paused"],
    id: UUID | None,  # noqa: A002
    at: datetime | None,
) -> None:
    """Set one value of the state."""
    await _sql.set_mark(connection, name=name, id=id, at=at)


async def limit_transaction(
    connection: Connection, *, lock_timeout: str, statement_timeout: str, synchronous_commit: Literal["on", "off"]
) -> str:
    """Set the timeouts, such as `50ms`, and the durability of the current transaction; return them."""
    values: str = await _sql.limit_transaction(
        connection,
        lock_timeout=lock_timeout,
        statement_timeout=statement_timeout,
        synchronous_commit=synchronous_commit,
    )
    return values


async def list_partitions(connection: Connection) -> list[Partition]:
    """Return the partitions by time, oldest first."""
    return [Partition(**row) async for row in _sql.list_partitions(connection)]


async def find_unmovable(connection: Connection, *, lower: UUID, upper: UUID, limit: int, budget: int) -> UUID | None:
    """Return the greatest id of the default partition in the range after which there are `limit` rows or fewer, and
    about `budget` bytes or fewer; None when that is so for the whole range."""
    found: UUID | None = await _sql.find_unmovable(connection, lower=lower, upper=upper, limit=limit, budget=budget)
    return found


async def create_partition(connection: Connection, *, name: str, lower: UUID, upper: UUID) -> int:
    """Create a partition, and move the rows of the default partition that belong to it; return how many."""
    moved: int = await _sql.create_partition(connection, name=name, lower=lower, upper=upper)
    return moved


async def measure_default(connection: Connection) -> int:
    """Return the bytes of the default partition that a scan of it reads."""
    size: int = await _sql.measure_default(connection)
    return size


async def exclude_from_default(connection: Connection, *, lower: UUID, upper: UUID) -> None:
    """Make the default partition refuse new rows from `lower` to before `upper`."""
    await _sql.exclude_from_default(connection, lower=lower, upper=upper)


async def validate_exclusion(connection: Connection) -> None:
    """Check that the default partition has no row that it refuses. Raises asyncpg.CheckViolationError."""
    await _sql.validate_exclusion(connection)


async def has_exclusion(connection: Connection) -> bool:
    """Return whether the default partition refuses rows."""
    found: bool = await _sql.has_exclusion(connection)
    return found


async def readmit_to_default(connection: Connection) -> None:
    """Make the default partition refuse no rows."""
    await _sql.readmit_to_default(connection)


async def drop_partition(connection: Connection, *, name: str) -> bool:
    """Drop a partition; return False when an execution in it is RUNNING."""
    dropped: bool = await _sql.drop_partition(connection, name=name)
    return dropped


async def has_running(connection: Connection, *, lower: UUID, upper: UUID) -> bool:
    """Return whether an execution of the range is RUNNING."""
    running: bool = await _sql.has_running(connection, lower=lower, upper=upper)
    return running


async def measure_partition(connection: Connection, *, lower: UUID, upper: UUID, name: str) -> SizeRow:
    """Return the rows of a partition, counted, and its size on disk with indexes."""
    return SizeRow(**await _sql.measure_partition(connection, lower=lower, upper=upper, name=name))


async def find_oldest_running(connection: Connection, *, before: UUID) -> UUID | None:
    """Return the least id of a RUNNING execution before `before`."""
    found: UUID | None = await _sql.find_oldest_running(connection, before=before)
    return found


async def find_batch_end(connection: Connection, *, lower: UUID, upper: UUID, limit: int, budget: int) -> UUID | None:
    """Return the last id of the first executions of the range: `limit` rows, or about `budget` bytes; None for none."""
    found: UUID | None = await _sql.find_batch_end(connection, lower=lower, upper=upper, limit=limit, budget=budget)
    return found


async def clear_payloads(connection: Connection, *, lower: UUID, last: UUID) -> int:
    """Clear the payloads from `lower` to `last`; return how many."""
    count: int = await _sql.clear_payloads(connection, lower=lower, last=last)
    return count


async def measure_payloads(connection: Connection, *, lower: UUID, upper: UUID) -> SizeRow:
    """Return what clearing the payloads of the range would clear."""
    return SizeRow(**await _sql.measure_payloads(connection, lower=lower, upper=upper))


async def delete_executions(connection: Connection, *, lower: UUID, last: UUID) -> int:
    """Delete the executions from `lower` to `last` that have ended; return how many."""
    count: int = await _sql.delete_executions(connection, lower=lower, last=last)
    return count


async def measure_executions(connection: Connection, *, lower: UUID, upper: UUID) -> SizeRow:
    """Return the executions of the range that have ended."""
    return SizeRow(**await _sql.measure_executions(connection, lower=lower, upper=upper))


async def list_deleted_functions(connection: Connection, *, grace_seconds: int) -> list[DeletedFunctionRow]:
    """Return the deleted functions to clean; those deleted `grace_seconds` ago are settled."""
    rows = _sql.list_deleted_functions(connection, grace_seconds=grace_seconds)
    return [DeletedFunctionRow(**row) async for row in rows]


async def list_executions_of(
    connection: Connection, *, function_ids: Sequence[UUID], lower: UUID, upper: UUID, limit: int, budget: int
) -> list[UUID]:
    """Return ids of executions of these functions in the range: up to `limit`, or about `budget` bytes."""
    rows = _sql.list_executions_of(
        connection, function_ids=function_ids, lower=lower, upper=upper, limit=limit, budget=budget
    )
    return [row["id"] async for row in rows]


async def delete_listed(connection: Connection, *, ids: Sequence[UUID], lower: UUID, upper: UUID) -> int:
    """Delete these executions, which are in the range; return how many."""
    count: int = await _sql.delete_listed(connection, ids=ids, lower=lower, upper=upper)
    return count


async def measure_executions_of(connection: Connection, *, function_ids: Sequence[UUID]) -> SizeRow:
    """Return the executions of these functions."""
    return SizeRow(**await _sql.measure_executions_of(connection, function_ids=function_ids))


async def mark_cleaned(connection: Connection, *, function_ids: Sequence[UUID]) -> None:
    """Record that the executions of these deleted functions were deleted once."""
    await _sql.mark_cleaned(connection, function_ids=function_ids)


async def forget_functions(connection: Connection, *, function_ids: Sequence[UUID]) -> None:
    """Remove deleted functions that have no executions and can get none."""
    await _sql.forget_functions(connection, function_ids=function_ids)


async def delete_archived_jobs(connection: Connection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` archived messages of `compilation_jobs`; return how many."""
    count: int = await _sql.delete_archived_jobs(connection, before=before, limit=limit)
    return count


async def delete_archived_results(connection: Connection, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` archived messages of `compilation_results`; return how many."""
    count: int = await _sql.delete_archived_results(connection, before=before, limit=limit)
    return count


async def measure_archived_jobs(connection: Connection, *, before: datetime) -> SizeRow:
    """Return the archived messages of `compilation_jobs` from before `before`."""
    return SizeRow(**await _sql.measure_archived_jobs(connection, before=before))


async def measure_archived_results(connection: Connection, *, before: datetime) -> SizeRow:
    """Return the archived messages of `compilation_results` from before `before`."""
    return SizeRow(**await _sql.measure_archived_results(connection, before=before))


async def measure_tables(connection: Connection, *, tables: Sequence[str]) -> list[TableSizeRow]:
    """Return the sizes of those of `tables` that exist."""
    return [TableSizeRow(**row) async for row in _sql.measure_tables(connection, tables=tables)]

"""The statements of sql/queries/executions.sql as typed functions: parameters and rows are known to mypy.

Rows are mapped by position, which costs less than by name: the fields of a struct are in the order of the statement's
columns (tests/integration/executions/test_queries.py compares them).
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import TypeAlias, TypeVar
from uuid import UUID

import msgspec

from faas.database import queries
from faas.database.held_connection import HeldConnection
from faas.database.pool import Connection
from faas.executions.model import Execution, ExecutionEnd, ExecutionRecord, ExecutionStart
from faas.function_ref import FunctionRef

_sql = queries.load("executions")  # Any: aiosql makes its functions at run time

_encode = msgspec.json.Encoder().encode
_NO_ID = UUID(int=0)
_number = attrgetter("int")  # of a UUID: comparing UUIDs runs Python code

AnyConnection: TypeAlias = Connection | HeldConnection
T = TypeVar("T")


class SingleStartRow(msgspec.Struct, frozen=True):
    """The revision of an execution. The execution has started if its status is READY; else nothing was recorded."""

    function_id: UUID
    revision: int
    module_digest: bytes | None
    name: str
    live: bool
    limits: bytes | None
    public: bool
    reaches: bool
    status: str
    compile_error: str | None


class BatchedStartRow(msgspec.Struct, frozen=True):
    """An execution of a batch that has started, with the revision, its module and what its settings say."""

    execution_id: UUID
    function_id: UUID
    revision: int
    module_digest: bytes
    name: str
    live: bool
    limits: bytes | None
    public: bool
    reaches: bool


class LimitsRow(msgspec.Struct, frozen=True):
    """A function, and of the revision that a reference runs, the limits (JSON) and whether anyone may call it."""

    function_id: UUID
    limits: bytes | None
    public: bool


class ListedExecutionRow(Execution, frozen=True):
    """An execution of a page, and how many the page could have had without its limit of bytes."""

    found: int


class HeartbeatRow(msgspec.Struct, frozen=True):
    """The heartbeat of a process; -1 for one that has RUNNING executions but no heartbeat."""

    process_id: UUID
    heartbeat: int


async def start_execution(connection: Connection, start: ExecutionStart, process_id: UUID) -> SingleStartRow | None:
    """Record one execution as RUNNING if its revision is READY. Returns None when there is no such revision."""
    row = await _sql.start_execution(
        connection,
        id=start.id,
        reference_id=start.function_ref.id,
        reference_name=start.function_ref.name,
        reference_revision=start.function_ref.revision,
        process_id=process_id,
        input=start.input,
        now=start.started_at,
        invoked_by=start.invoked_by,
        like=start.like,
    )
    return None if row is None else SingleStartRow(*row)


def _column(values: list[T | None]) -> list[T | None] | None:
    """Return the values of a batch's parameter, or None where all of them are: unnest fills that up with NULLs.

    asyncpg takes 0.4 µs to encode a None of an array, and most executions have six.
    """
    return values if any(value is not None for value in values) else None


async def start_executions(
    connection: AnyConnection, starts: Sequence[ExecutionStart], process_id: UUID
) -> list[BatchedStartRow]:
    """Record many executions as RUNNING. Returns those that have started, in no particular order."""
    return [
        BatchedStartRow(*row)
        async for row in _sql.start_executions(
            connection,
            ids=[start.id for start in starts],
            reference_ids=_column([start.function_ref.id for start in starts]),
            reference_names=_column([start.function_ref.name for start in starts]),
            reference_revisions=_column([start.function_ref.revision for start in starts]),
            inputs=[start.input for start in starts],
            times=[start.started_at for start in starts],
            invokers=_column([start.invoked_by for start in starts]),
            process_id=process_id,
        )
    ]


async def end_executions(connection: AnyConnection, ends: Sequence[ExecutionEnd]) -> set[UUID]:
    """Record the ends of executions. Returns the ids of those that were RUNNING until now."""
    ids = [end.id for end in ends]
    return {
        row[0]
        async for row in _sql.end_executions(
            connection,
            ids=ids,
            outputs=_column([end.outcome.output for end in ends]),
            errors=_column([end.outcome.error for end in ends]),
            logs=_column([end.outcome.logs for end in ends]),
            requests=_column([_encode(end.outcome.requests) if end.outcome.requests else None for end in ends]),
            times=[end.completed_at for end in ends],
            least=min(ids, key=_number, default=_NO_ID),
            greatest=max(ids, key=_number, default=_NO_ID),
        )
    }


async def find_function_id(
    connection: Connection, function_ref: FunctionRef, *, like: Sequence[str] | None
) -> UUID | None:
    """Return the id of the function that `function_ref` names and whose name fits `like`, None for any; or None."""
    row = await _sql.find_function_id(
        connection, reference_id=function_ref.id, reference_name=function_ref.name, like=like
    )
    function_id: UUID | None = None if row is None else row[0]
    return function_id


async def find_limits(
    connection: Connection, function_ref: FunctionRef, *, like: Sequence[str] | None
) -> LimitsRow | None:
    """Return the function and the limits of what `function_ref` runs, or None when there is no such revision.

    The name of the function fits `like`, None for any.
    """
    row = await _sql.find_limits(
        connection,
        reference_id=function_ref.id,
        reference_name=function_ref.name,
        reference_revision=function_ref.revision,
        like=like,
    )
    return None if row is None else LimitsRow(*row)


async def get_settings(connection: Connection, function_id: UUID, revision: int) -> bytes | None:
    """Return the settings of a revision (JSON), or None when it is gone."""
    row = await _sql.get_settings(connection, function_id=function_id, number=revision)
    settings: bytes | None = None if row is None else row[0]
    return settings


async def get_module(connection: Connection, module_digest: bytes) -> bytes | None:
    """Return the module with this digest, or None when no revision has it any more."""
    row = await _sql.get_module(connection, module_digest=module_digest)
    module: bytes | None = None if row is None else row[0]
    return module


async def get_execution(
    connection: Connection, execution_id: UUID, *, like: Sequence[str] | None, invoked_by: str | None
) -> ExecutionRecord | None:
    """Return one execution with its input and logs.

    Its function has a name that fits `like`, None for any; `invoked_by` made it, None for anyone.
    """
    row = await _sql.get_execution(connection, id=execution_id, like=like, invoked_by=invoked_by)
    return None if row is None else ExecutionRecord(*row)


async def list_executions(
    connection: Connection,
    function_id: UUID,
    *,
    limit: int,
    max_bytes: int,
    oldest: UUID,
    cursor: UUID | None,
    status: str | None,
) -> list[ListedExecutionRow]:
    """Return up to `limit` executions from `oldest` to before `cursor`, newest first.

    Fewer are returned when their outputs together exceed `max_bytes`, but at least one if there is one.
    """
    rows = _sql.list_executions(
        connection, function_id=function_id, oldest=oldest, limit=limit, budget=max_bytes, cursor=cursor, status=status
    )
    return [ListedExecutionRow(*row) async for row in rows]


async def list_older_executions(
    connection: Connection, function_id: UUID, *, limit: int, max_bytes: int, before: UUID, statuses: Sequence[str]
) -> list[ListedExecutionRow]:
    """Return up to `limit` executions before `before`, newest first, like list_executions; quick in all partitions.

    The caller's transaction has called keep_plan.
    """
    rows = _sql.list_older_executions(
        connection, function_id=function_id, before=before, statuses=statuses, limit=limit, budget=max_bytes
    )
    return [ListedExecutionRow(*row) async for row in rows]


async def list_older_failed(
    connection: Connection, function_id: UUID, *, limit: int, max_bytes: int, before: UUID
) -> list[ListedExecutionRow]:
    """Return the FAILED ones of list_older_executions, quick also where they are few."""
    rows = _sql.list_older_failed(connection, function_id=function_id, before=before, limit=limit, budget=max_bytes)
    return [ListedExecutionRow(*row) async for row in rows]


async def list_older_running(
    connection: Connection, function_id: UUID, *, limit: int, before: UUID
) -> list[ListedExecutionRow]:
    """Return the RUNNING ones of list_older_executions, quick also where they are few."""
    rows = _sql.list_older_running(connection, function_id=function_id, before=before, limit=limit)
    return [ListedExecutionRow(*row) async for row in rows]


async def keep_plan(connection: Connection) -> str:
    """Let the rest of the transaction use plans that are made once for each connection; return the settings."""
    settings: str = await _sql.keep_plan(connection)
    return settings


async def send_heartbeat(connection: Connection, process_id: UUID) -> None:
    """Increment the counter of a process."""
    await _sql.send_heartbeat(connection, id=process_id)


async def list_heartbeats(connection: Connection) -> list[HeartbeatRow]:
    """Return the heartbeat of every process that sends one or has RUNNING executions."""
    return [HeartbeatRow(*row) async for row in _sql.list_heartbeats(connection)]


async def reap_executions(connection: Connection, stale: HeartbeatRow) -> list[UUID]:
    """Close the RUNNING executions of a process unless it has sent a heartbeat since. Returns their ids."""
    rows = _sql.reap_executions(connection, process_id=stale.process_id, heartbeat=stale.heartbeat)
    return [row[0] async for row in rows]


async def deregister_process(connection: Connection, process_id: UUID) -> None:
    """Remove the heartbeat of a process."""
    await _sql.deregister_process(connection, id=process_id)

"""The two writes of an execution: RUNNING when it starts, and its outcome when it ends. Each is committed on return.

Both are written in batches (group commit): one statement and one commit for all executions that wait. When one item
makes its batch fail (an input that Postgres refuses, a lock), each item of the batch is written again on its own,
with longer timeouts, on the shared pool. So no execution waits for a lock that concerns another one.

A RUNNING row need not be on disk when the guest runs: if Postgres crashes and loses it, the guest's call is lost with
it, and no client has seen a result. The outcome is on disk before the client gets its answer.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from faas.database.held_connection import HeldConnection
from faas.database.pool import Pool, acquire, describe_connect_error, open_pool
from faas.errors import (
    ConfigurationError,
    DatabaseUnavailable,
    FunctionNotFound,
    FunctionNotReady,
    NotFound,
    RevisionNotFound,
)
from faas.executions import queries
from faas.executions.batching import Batcher
from faas.executions.model import ExecutionEnd, ExecutionStart
from faas.function_ref import FunctionRef
from faas.function_settings import FunctionLimits, decode_limits

# Pin index-based generic plans: one cached while the tables are empty would use sequential scans and be kept as they
# grow. Planning takes as long as the statement itself, and so is done once for each connection. The lock timeout is
# short because an item that meets a lock is written again on its own (see above).
_BATCH_SESSION_SETTINGS = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "lock_timeout": "20ms",
}
_NOT_DURABLE = {"synchronous_commit": "off"}
_START_CONNECTIONS = 1
_END_CONNECTIONS = 2  # while one commit waits for the disk, the next batch is sent
_MAX_BATCH_ITEMS = 128
_MAX_BATCH_BYTES = 4 << 20  # of inputs or outputs; each is copied several times while it is encoded and sent
_MAX_BATCHED_ITEM_BYTES = 1 << 20  # a larger item is written on its own

# Errors that one item can cause for its whole batch. Nothing of the batch is written then.
_SINGLE_ITEM_ERRORS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.LockNotAvailableError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.TransactionRollbackError,
)


class Started(msgspec.Struct, frozen=True):
    """The execution is RUNNING on record; this is the revision that it runs, with its module and its limits.

    `live` says that the revision was the live one, `public` that anyone may call it as an HTTP endpoint, `reaches` that
    its settings let it reach something.
    """

    function_id: UUID
    function_name: str
    revision: int
    live: bool
    module_digest: bytes
    limits: FunctionLimits
    public: bool
    reaches: bool


class NotStarted(msgspec.Struct, frozen=True):
    """Nothing was recorded, for this reason: there is no such function or revision, or it is not READY."""

    reason: NotFound | FunctionNotReady


class RetryAlone(msgspec.Struct, frozen=True):
    """The batch did not settle this item: the batch failed, or there is no READY revision."""


StartResult: TypeAlias = Started | NotStarted
_BatchedStartResult: TypeAlias = Started | RetryAlone
_BatchedEndResult: TypeAlias = bool | RetryAlone

_RETRY_ALONE = RetryAlone()


class ExecutionRecorder:
    """Records the executions of the process `process_id`.

    Batches of starts are written on `start_connections`, batches of ends on `end_connections`, and single items on
    `pool`. Use from one event loop.
    """

    def __init__(
        self,
        pool: Pool,
        start_connections: Sequence[HeldConnection],
        end_connections: Sequence[HeldConnection],
        process_id: UUID,
    ) -> None:
        self.start_connections = tuple(start_connections)
        self.end_connections = tuple(end_connections)
        self._pool = pool
        self._process_id = process_id
        self._idle_start_connections = list(start_connections)
        self._idle_end_connections = list(end_connections)
        # Items that wait alone for a lock may use a quarter of the pool. Starts and ends are counted apart, because an
        # end waits for other locks than a start.
        alone = max(1, pool.get_max_size() // 4)
        self._starts_alone, self._ends_alone = asyncio.Semaphore(alone), asyncio.Semaphore(alone)
        self._starts = Batcher(
            self._write_starts,
            concurrency=len(start_connections),
            max_items=_MAX_BATCH_ITEMS,
            max_bytes=_MAX_BATCH_BYTES,
        )
        self._ends = Batcher(
            self._write_ends, concurrency=len(end_connections), max_items=_MAX_BATCH_ITEMS, max_bytes=_MAX_BATCH_BYTES
        )

    async def record_started(self, start: ExecutionStart) -> StartResult:
        """Record the execution as RUNNING, if its revision is READY.

        Raises DatabaseNotReached when nothing was sent; DatabaseUnavailable when the row may or may not have been
        committed; DataError for an input that Postgres refuses.
        """
        size = len(start.input)
        if size <= _MAX_BATCHED_ITEM_BYTES and start.like is None:
            result = await self._starts.submit(start, size)
            if isinstance(result, Started):
                return result
        async with self._starts_alone, acquire(self._pool) as connection:
            row = await queries.start_execution(connection, start, self._process_id)
        if row is None:
            return NotStarted(not_found(start.function_ref))
        if row.status != "READY":
            return NotStarted(FunctionNotReady(row.name, row.status, row.compile_error))
        assert row.module_digest is not None
        return _started(row, row.module_digest)

    async def record_finished(self, end: ExecutionEnd) -> bool:
        """Record the outcome durably. Returns False when the execution is no longer RUNNING or no longer exists.

        Raises DatabaseUnavailable; DataError for an output that Postgres refuses.
        """
        size = len(end.outcome.output or b"") + len(end.outcome.logs or "")
        if size <= _MAX_BATCHED_ITEM_BYTES:
            result = await self._ends.submit(end, size)
            if not isinstance(result, RetryAlone):
                return result
        async with self._ends_alone, acquire(self._pool) as connection:
            return end.id in await queries.end_executions(connection, [end])

    async def _write_starts(self, starts: Sequence[ExecutionStart]) -> list[_BatchedStartResult]:
        connection = self._idle_start_connections.pop()
        try:
            rows = await queries.start_executions(connection, starts, self._process_id)
        except _SINGLE_ITEM_ERRORS:
            return [_RETRY_ALONE] * len(starts)
        finally:
            self._idle_start_connections.append(connection)
        started = {row.execution_id: _started(row, row.module_digest) for row in rows}
        return [started.get(start.id, _RETRY_ALONE) for start in starts]

    async def _write_ends(self, ends: Sequence[ExecutionEnd]) -> list[_BatchedEndResult]:
        connection = self._idle_end_connections.pop()
        try:
            ended = await queries.end_executions(connection, ends)
        except _SINGLE_ITEM_ERRORS:
            return [_RETRY_ALONE] * len(ends)
        finally:
            self._idle_end_connections.append(connection)
        return [_pop(ended, end.id) for end in ends]


def _started(row: queries.SingleStartRow | queries.BatchedStartRow, module_digest: bytes) -> Started:
    return Started(
        row.function_id,
        row.name,
        row.revision,
        row.live,
        module_digest,
        decode_limits(row.limits),
        row.public,
        row.reaches,
    )


def not_found(function_ref: FunctionRef) -> NotFound:
    """Return the error for a reference that names no function, or none with the revision that it names."""
    if function_ref.revision is None:
        return FunctionNotFound(str(function_ref))
    return RevisionNotFound(function_ref.name or str(function_ref.id), function_ref.revision)


def _pop(ids: set[UUID], wanted: UUID) -> bool:
    """Remove `wanted` and return whether it was there, so that a duplicate in the batch reports False."""
    found = wanted in ids
    ids.discard(wanted)
    return found


@asynccontextmanager
async def open_recorder(url: str, pool: Pool, process_id: UUID) -> AsyncIterator[ExecutionRecorder]:
    """Open a recorder with connections of its own for the batches, and `pool` for single items.

    Raises ConfigurationError when it cannot connect.
    """
    async with AsyncExitStack() as stack:

        async def hold(count: int, settings: Mapping[str, str]) -> list[HeldConnection]:
            batch_pool = await stack.enter_async_context(open_pool(url, count, settings))
            held = [HeldConnection(batch_pool) for _ in range(count)]
            for connection in held:
                stack.push_async_callback(connection.close)
            return held

        start_connections = await hold(_START_CONNECTIONS, _BATCH_SESSION_SETTINGS | _NOT_DURABLE)
        end_connections = await hold(_END_CONNECTIONS, _BATCH_SESSION_SETTINGS)
        # Warm-up with empty batches: the first execution must not wait until its statements are parsed and planned.
        try:
            for connection in start_connections:
                await queries.start_executions(connection, [], process_id)
            for connection in end_connections:
                await queries.end_executions(connection, [])
        except (DatabaseUnavailable, asyncpg.PostgresError) as error:
            if not isinstance(error, _SINGLE_ITEM_ERRORS):  # a lock, for example: then there is no warm-up
                raise ConfigurationError(describe_connect_error(error)) from None
        yield ExecutionRecorder(pool, start_connections, end_connections, process_id)

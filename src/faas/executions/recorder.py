"""The two writes of an execution: that it RUNS, and how it ended. Each is committed before the caller goes on.

Both are written in batches, one statement and one commit for all that wait. What a batch cannot settle for one of its
items (a lock that is held, a document that Postgres refuses, a function that is gone) is written again alone, with
patience, on the shared pool: nobody waits for somebody else's lock.

RUNNING need not have reached the disk: a crash of Postgres that loses it loses the guest's call with it, of which
nobody has heard. The end is on disk before anyone hears of it.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from faas.database import queries
from faas.database.held_connection import HeldConnection
from faas.database.pool import Pool, acquire, explain, open_pool
from faas.errors import ConfigurationError, DatabaseUnavailable
from faas.executions.batching import Batches
from faas.function_ref import FunctionRef
from faas.runtime import Outcome

_sql = queries.load("executions")

# The statements find their rows by index. The planner would read small tables whole, and keep doing so as they grow.
# So one plan is right for ever, and planning, which takes as long as the statement, is done once for each connection.
# A lock is not waited for: see above.
_BATCHES = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "lock_timeout": "20ms",
}
_NOT_ON_DISK = {"synchronous_commit": "off"}
_ENDS_AT_ONCE = 2  # while one commit waits for the disk, the next batch is on its way
_LARGEST = 128
_LARGEST_DOCUMENT = 1 << 20  # bytes; a larger one is written alone
_HEAVIEST = 4 << 20  # bytes of documents in a batch: each is held several times while it is encoded and sent

# What one item can do to a whole batch. Nothing of the batch is then written.
_ONES_FAULT = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.LockNotAvailableError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.TransactionRollbackError,
)


class Start(msgspec.Struct, frozen=True):
    """An execution to record as RUNNING."""

    id: UUID
    function_ref: FunctionRef
    document: bytes
    now: datetime


class End(msgspec.Struct, frozen=True):
    """How an execution ended, and when."""

    id: UUID
    outcome: Outcome
    now: datetime


class Journal:
    """Writes for the executions of process `process_id`: batches over `starts` and `ends`, single ones on `pool`."""

    def __init__(
        self, pool: Pool, starts: Sequence[HeldConnection], ends: Sequence[HeldConnection], process_id: UUID
    ) -> None:
        self._pool = pool
        self._idle_starts = list(starts)
        self._idle_ends = list(ends)
        self._process_id = process_id
        # What waits alone for somebody's lock leaves most connections to others; ends wait for no function's.
        alone = max(1, pool.get_max_size() // 4)
        self._starts_alone, self._ends_alone = asyncio.Semaphore(alone), asyncio.Semaphore(alone)
        self._starts = Batches(self._write_starts, writers=len(starts), largest=_LARGEST, heaviest=_HEAVIEST)
        self._ends = Batches(self._write_ends, writers=len(ends), largest=_LARGEST, heaviest=_HEAVIEST)

    async def start(self, start: Start) -> Mapping[str, Any] | None:
        """Record RUNNING: what runs, as `function_id`, `revision` and `wasm_digest`, or None when nothing READY does.

        Raises DatabaseUnavailable, after which it may or may not be recorded, unless it is DatabaseNotReached;
        ForeignKeyViolationError when the
        function was deleted meanwhile.
        """
        size = len(start.document)
        if size <= _LARGEST_DOCUMENT:
            called = await self._starts.submit(start, size)
            if called is not None:
                return called
        async with self._starts_alone, acquire(self._pool) as connection:
            alone: Mapping[str, Any] | None = await _sql.start_execution(
                connection,
                id=start.id,
                reference_id=start.function_ref.id,
                reference_name=start.function_ref.name,
                process_id=self._process_id,
                input=start.document,
                now=start.now,
            )
        return alone

    async def end(self, end: End) -> bool:
        """Record the end durably. False when the execution is no longer RUNNING or no longer there.

        Raises DatabaseUnavailable; DataError for an output that Postgres refuses.
        """
        size = len(end.outcome.output or b"") + len(end.outcome.logs or "")
        if size <= _LARGEST_DOCUMENT:
            ended = await self._ends.submit(end, size)
            if ended is not None:
                return ended
        async with self._ends_alone, acquire(self._pool) as connection:
            return end.id in await _end(connection, [end])

    async def _write_starts(self, starts: Sequence[Start]) -> list[Mapping[str, Any] | None]:
        connection = self._idle_starts.pop()
        try:
            called = await _start(connection, starts, self._process_id)
        except _ONES_FAULT:
            return [None] * len(starts)
        finally:
            self._idle_starts.append(connection)
        return [called.get(start.id) for start in starts]

    async def _write_ends(self, ends: Sequence[End]) -> list[bool | None]:
        connection = self._idle_ends.pop()
        try:
            ended = await _end(connection, ends)
        except _ONES_FAULT:
            return [None] * len(ends)
        finally:
            self._idle_ends.append(connection)
        return [_take(ended, end.id) for end in ends]


async def _start(connection: Any, starts: Sequence[Start], process_id: UUID) -> dict[UUID, Mapping[str, Any]]:
    """Write `starts` in one statement; of those that are RUNNING now, what runs."""
    return {
        row["execution_id"]: row
        async for row in _sql.start_executions(
            connection,
            ids=[start.id for start in starts],
            reference_ids=[start.function_ref.id for start in starts],
            reference_names=[start.function_ref.name for start in starts],
            inputs=[start.document for start in starts],
            times=[start.now for start in starts],
            process_id=process_id,
        )
    }


def _take(ids: set[UUID], wanted: UUID) -> bool:
    """Whether `wanted` is in `ids`, which it then leaves: the end of an execution is told once."""
    found = wanted in ids
    ids.discard(wanted)
    return found


async def _end(connection: Any, ends: Sequence[End]) -> set[UUID]:
    """Write `ends` in one statement; the ids of those that were RUNNING until now."""
    return {
        row["id"]
        async for row in _sql.end_executions(
            connection,
            ids=[end.id for end in ends],
            outputs=[end.outcome.output for end in ends],
            errors=[end.outcome.error for end in ends],
            logs=[end.outcome.logs for end in ends],
            times=[end.now for end in ends],
        )
    }


@asynccontextmanager
async def open_journal(url: str, pool: Pool, process_id: UUID) -> AsyncIterator[Journal]:
    """A journal with connections of its own for the batches, and `pool` for what is written alone."""
    async with AsyncExitStack() as stack:

        async def hold(count: int, settings: Mapping[str, str]) -> list[HeldConnection]:
            batches = await stack.enter_async_context(open_pool(url, count, settings))
            held = [HeldConnection(batches) for _ in range(count)]
            for connection in held:
                stack.push_async_callback(connection.close)
            return held

        starts = await hold(1, _BATCHES | _NOT_ON_DISK)
        ends = await hold(_ENDS_AT_ONCE, _BATCHES)
        # A new connection parses and plans its statement: that is not for the first execution to wait for.
        try:
            for connection in starts:
                await _start(connection, [], process_id)
            for connection in ends:
                await _end(connection, [])
        except (DatabaseUnavailable, asyncpg.PostgresError) as error:
            if not isinstance(error, _ONES_FAULT):  # a lock, say: then the first execution does wait
                raise ConfigurationError(explain(error)) from None
        yield Journal(pool, starts, ends, process_id)

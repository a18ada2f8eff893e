"""The steps of a run that change rows: in small transactions with pauses, so that they do not delay executions."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from faas.database.pool import Connection
from faas.retention import queries
from faas.retention.partitions import IdRange

_BATCH_ROWS = 200
_BATCH_BYTES = 4 << 20  # of payloads, which may have 12 MB each
_BATCH_MESSAGES = 20  # an archived result may have 10 MB
_LOCK_TIMEOUT = "1s"
_STATEMENT_TIMEOUT = "20s"


class Pacer:
    """Limits the share of time that batches take: after each it pauses `pause_factor` times as long as the batch took.

    `spent` is true once `seconds` have passed, with None never. Each step of a run has its own pacer (`restarted`).
    With one for all, a step that needs hours, as the first deletion of years of executions, would leave the steps
    after it no time until it is done.
    """

    def __init__(self, pause_factor: float, seconds: float | None = None) -> None:
        self._pause_factor = pause_factor
        self._seconds = seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def restarted(self) -> "Pacer":
        """Return a pacer that has as much time as this one, from now on."""
        return Pacer(self._pause_factor, self._seconds)

    @property
    def spent(self) -> bool:
        """Whether the time of this step is over."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    @asynccontextmanager
    async def batch(self, connection: Connection) -> AsyncIterator[None]:
        """Run the block in a transaction and pause after it.

        The commit is not flushed to the disk: if a crash undoes the batch, the next run does it again.
        """
        began = time.monotonic()
        async with connection.transaction():
            await queries.limit_transaction(
                connection,
                lock_timeout=_LOCK_TIMEOUT,
                statement_timeout=_STATEMENT_TIMEOUT,
                synchronous_commit="off",
            )
            yield
        await asyncio.sleep(self._pause_factor * (time.monotonic() - began))


async def delete_executions(connection: Connection, pacer: Pacer, ranges: Sequence[IdRange]) -> int:
    """Delete the executions of `ranges` that have ended; return how many."""
    deleted = 0
    for ids in ranges:
        lower = ids.lower
        while not pacer.spent:
            async with pacer.batch(connection):
                last = await _find_batch_end(connection, lower, ids.upper)
                if last is not None:
                    deleted += await queries.delete_executions(connection, lower=lower, last=last)
            if last is None:
                break
            lower = _next_id(last)
    return deleted


async def clear_payloads(connection: Connection, pacer: Pacer, ranges: Sequence[IdRange]) -> int:
    """Clear the payloads of `ranges`, which are in ascending order; return how many.

    Each batch records how far it came, so that no row is looked at twice.
    """
    cleared = 0
    for ids in ranges:
        lower = ids.lower
        while not pacer.spent:
            async with pacer.batch(connection):
                last = await _find_batch_end(connection, lower, ids.upper)
                if last is not None:
                    cleared += await queries.clear_payloads(connection, lower=lower, last=last)
                lower = ids.upper if last is None else _next_id(last)
                await queries.set_mark(connection, name="payloads_cleared", id=lower, at=None)
            if last is None:
                break
    return cleared


async def clean_deleted_functions(
    connection: Connection, pacer: Pacer, ranges: Sequence[IdRange], grace_seconds: int
) -> int:
    """Delete the executions of deleted functions; return how many.

    A function is cleaned at once, and again after `grace_seconds`, when no execution of it can be inserted any more.
    """
    functions = await queries.list_deleted_functions(connection, grace_seconds=grace_seconds)
    if not functions:
        return 0
    function_ids = [function.function_id for function in functions]
    deleted = 0
    for ids in ranges:
        while True:
            if pacer.spent:
                return deleted
            async with pacer.batch(connection):
                found = await queries.list_executions_of(
                    connection,
                    function_ids=function_ids,
                    lower=ids.lower,
                    upper=ids.upper,
                    limit=_BATCH_ROWS,
                    budget=_BATCH_BYTES,
                )
                if found:
                    deleted += await queries.delete_listed(connection, ids=found, lower=ids.lower, upper=ids.upper)
            if not found:
                break
    async with pacer.batch(connection):
        settled = [function.function_id for function in functions if function.settled]
        await queries.forget_functions(connection, function_ids=settled)
        await queries.mark_cleaned(connection, function_ids=function_ids)
    return deleted


async def delete_archived_messages(connection: Connection, pacer: Pacer, before: datetime) -> int:
    """Delete the messages that were archived before `before`; return how many."""
    deletes: Sequence[Callable[..., Awaitable[int]]] = (queries.delete_archived_jobs, queries.delete_archived_results)
    deleted = 0
    for delete in deletes:
        count = _BATCH_MESSAGES
        while count == _BATCH_MESSAGES and not pacer.spent:
            async with pacer.batch(connection):
                count = await delete(connection, before=before, limit=_BATCH_MESSAGES)
            deleted += count
    return deleted


async def _find_batch_end(connection: Connection, lower: UUID, upper: UUID) -> UUID | None:
    return await queries.find_batch_end(connection, lower=lower, upper=upper, limit=_BATCH_ROWS, budget=_BATCH_BYTES)


def _next_id(execution_id: UUID) -> UUID:
    return UUID(int=execution_id.int + 1)

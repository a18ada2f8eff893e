"""Creating partitions ahead and dropping expired ones: short locks, never waited for long.

While a statement waits for a lock on `executions`, every later statement waits behind it. The wait is therefore limited
to LOCK_TIMEOUT_MS, and tried again later. DETACH … CONCURRENTLY would wait without such a queue; Postgres refuses it
for a table with a default partition.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import asyncpg
import structlog

from faas.database.pool import Connection
from faas.retention import queries
from faas.retention.partitions import Partition, from_next_hour, missing_partitions, time_of

log = structlog.get_logger()

LOCK_TIMEOUT_MS = 50
_STATEMENT_TIMEOUT_MS = 900  # the whole of one change, under the lock
# Of rows that are moved out of the default partition, under the lock.
_MOST_MOVED_ROWS = 5000
_MOST_MOVED_BYTES = 16 << 20
# Of the default partition, without out-of-line values. ATTACH PARTITION reads them under the lock.
_MOST_SCANNED_BYTES = 32 << 20
_VALIDATION_TIMEOUT_MS = 120_000
# How long after now a range may begin whose rows the default partition refuses until the partition exists.
_EXCLUSION_MARGIN = timedelta(minutes=10)
_ATTEMPTS = 10
_ATTEMPT_INTERVAL_SECONDS = 0.5
# Another session holds the lock, or the change took too long.
_BUSY_ERRORS = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError)


async def create_missing(connection: Connection, now: datetime, width: timedelta) -> list[Partition]:
    """Create the partitions that lack, and return them. Until one exists, its rows go to the default partition.

    When those are too many to be moved, they stay there, and the partition begins at the next full hour.
    """
    await _readmit(connection)  # what a process that was killed has excluded
    large = await queries.measure_default(connection) > _MOST_SCANNED_BYTES
    created = []
    for missing in missing_partitions(await queries.list_partitions(connection), now, width):
        partition = await _without_unmovable(connection, missing, now, large=large)
        if partition is None:
            continue
        if await (_create_beside_large_default if large else _create)(connection, partition):
            created.append(partition)
            log.info("partition.created", partition=partition.name, until=time_of(partition.upper).isoformat())
    return created


async def drop(connection: Connection, partitions: Sequence[Partition]) -> list[Partition]:
    """Drop `partitions` and return those that were dropped. A partition with a RUNNING execution stays."""
    dropped = []
    for partition in partitions:
        ids = partition.ids
        if await queries.has_running(connection, lower=ids.lower, upper=ids.upper):
            log.info("partition.kept", partition=partition.name, reason="an execution in it is RUNNING")
            continue
        if await _drop(connection, partition):
            dropped.append(partition)
    return dropped


async def _without_unmovable(
    connection: Connection, partition: Partition, now: datetime, *, large: bool
) -> Partition | None:
    """Return the part of the partition after the last row that cannot be moved; None when there is none.

    Beside a `large` default partition no row can be moved, and the part begins later than now, because its ids are
    refused until it exists.
    """
    last = await queries.find_unmovable(
        connection,
        lower=partition.ids.lower,
        upper=partition.upper,
        limit=0 if large else _MOST_MOVED_ROWS,
        budget=_MOST_MOVED_BYTES,
    )
    earliest = now + _EXCLUSION_MARGIN if large else now
    if last is not None:
        earliest = max(earliest, time_of(last))
    return partition if last is None and not large else from_next_hour(partition, earliest)


async def _create(connection: Connection, partition: Partition) -> bool:
    async def create() -> bool:
        await queries.create_partition(
            connection, name=partition.name, lower=partition.ids.lower, upper=partition.upper
        )
        await queries.readmit_to_default(connection)
        return True

    return await _try(connection, partition.name, create) or False


async def _create_beside_large_default(connection: Connection, partition: Partition) -> bool:
    """Create a partition of which the default partition has no row, without reading all of its rows under the lock.

    ATTACH PARTITION reads them to see that none belongs to the new partition, unless a validated constraint says so.
    Validating it reads them too, while executions go on. But the constraint refuses new rows at once: those
    of a clock that is ahead by more than _EXCLUSION_MARGIN, until the partition exists.
    """

    async def exclude() -> bool:
        await queries.exclude_from_default(connection, lower=partition.ids.lower, upper=partition.upper)
        return True

    if not await _try(connection, partition.name, exclude):
        return False
    try:
        async with connection.transaction():
            await _limit_locks(connection, _VALIDATION_TIMEOUT_MS)
            await queries.validate_exclusion(connection)
        return await _create(connection, partition)
    except (*_BUSY_ERRORS, asyncpg.CheckViolationError) as error:
        log.warning("partition.change_deferred", partition=partition.name, error=str(error))
        return False
    finally:
        await _readmit(connection)


async def _readmit(connection: Connection) -> None:
    """Let the default partition have all rows again that no other partition has."""

    async def readmit() -> bool:
        await queries.readmit_to_default(connection)
        return True

    if await queries.has_exclusion(connection):
        await _try(connection, "executions_default", readmit)


async def _drop(connection: Connection, partition: Partition) -> bool:
    began = time.monotonic()

    async def drop_partition() -> bool:
        nonlocal began
        began = time.monotonic()
        return await queries.drop_partition(connection, name=partition.name)

    dropped = await _try(connection, partition.name, drop_partition) or False
    if dropped:  # most of the time goes into deleting the files, after the lock was released
        duration_ms = round((time.monotonic() - began) * 1000, 3)
        log.info("partition.dropped", partition=partition.name, duration_ms=duration_ms)
    return dropped


async def _try(connection: Connection, partition: str, change: Callable[[], Awaitable[bool]]) -> bool | None:
    """Return the result of `change`, which runs in a transaction; None when it never got its lock in time."""
    for attempt in range(_ATTEMPTS):
        try:
            async with connection.transaction():
                await _limit_locks(connection, _STATEMENT_TIMEOUT_MS)
                result = await change()
        except _BUSY_ERRORS as error:
            await _wait_after(attempt, partition, error)
        else:
            return result
    return None


async def _limit_locks(connection: Connection, statement_timeout_ms: int) -> None:
    await queries.limit_transaction(
        connection,
        lock_timeout=f"{LOCK_TIMEOUT_MS}ms",
        statement_timeout=f"{statement_timeout_ms}ms",
        synchronous_commit="on",
    )


async def _wait_after(attempt: int, partition: str, error: Exception) -> None:
    if attempt == _ATTEMPTS - 1:
        log.warning("partition.change_deferred", partition=partition, error=str(error))
    else:
        await asyncio.sleep(_ATTEMPT_INTERVAL_SECONDS)

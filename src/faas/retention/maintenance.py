"""Creating partitions ahead and dropping expired ones: short locks, never waited for long.

While a statement waits for a lock on `executions`, every later statement waits behind it. The wait is therefore limited
to LOCK_TIMEOUT_MS, and tried again later. DETACH … CONCURRENTLY would wait without such a queue; Postgres refuses it
for a table with a default partition.
"""

import asyncio
import time
from collections.abc import Sequence
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
_ATTEMPTS = 10
_ATTEMPT_INTERVAL_SECONDS = 0.5
# Another session holds the lock, or the change took too long.
_BUSY_ERRORS = (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError, asyncpg.DeadlockDetectedError)


async def create_missing(connection: Connection, now: datetime, width: timedelta) -> list[Partition]:
    """Create the partitions that lack, and return them. Until one exists, its rows go to the default partition.

    When those are too many to be moved, they stay there, and the partition begins at the next full hour.
    """
    created = []
    for missing in missing_partitions(await queries.list_partitions(connection), now, width):
        partition = await _without_unmovable(connection, missing, now)
        if partition is not None and await _create(connection, partition):
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


async def _without_unmovable(connection: Connection, partition: Partition, now: datetime) -> Partition | None:
    last = await queries.find_unmovable(
        connection,
        lower=partition.ids.lower,
        upper=partition.upper,
        limit=_MOST_MOVED_ROWS,
        budget=_MOST_MOVED_BYTES,
    )
    return partition if last is None else from_next_hour(partition, max(now, time_of(last)))


async def _create(connection: Connection, partition: Partition) -> bool:
    for attempt in range(_ATTEMPTS):
        try:
            async with connection.transaction():
                await _limit_locks(connection)
                await queries.create_partition(
                    connection, name=partition.name, lower=partition.ids.lower, upper=partition.upper
                )
        except _BUSY_ERRORS as error:
            await _wait_after(attempt, partition, error)
        else:
            return True
    return False


async def _drop(connection: Connection, partition: Partition) -> bool:
    for attempt in range(_ATTEMPTS):
        began = time.monotonic()
        try:
            async with connection.transaction():
                await _limit_locks(connection)
                dropped = await queries.drop_partition(connection, name=partition.name)
        except _BUSY_ERRORS as error:
            await _wait_after(attempt, partition, error)
        else:
            if dropped:  # most of the time goes into deleting the files, after the lock was released
                duration_ms = round((time.monotonic() - began) * 1000, 3)
                log.info("partition.dropped", partition=partition.name, duration_ms=duration_ms)
            return dropped
    return False


async def _limit_locks(connection: Connection) -> None:
    await queries.limit_transaction(
        connection,
        lock_timeout=f"{LOCK_TIMEOUT_MS}ms",
        statement_timeout=f"{_STATEMENT_TIMEOUT_MS}ms",
        synchronous_commit="on",
    )


async def _wait_after(attempt: int, partition: Partition, error: Exception) -> None:
    if attempt == _ATTEMPTS - 1:
        log.warning("partition.change_deferred", partition=partition.name, error=str(error))
    else:
        await asyncio.sleep(_ATTEMPT_INTERVAL_SECONDS)

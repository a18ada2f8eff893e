"""One run of retention: what is due, and in which order it goes."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
import structlog

from faas.database.pool import Connection
from faas.retention import batches, maintenance, queries
from faas.retention.batches import Pacer
from faas.retention.partitions import LEAST_ID, IdRange, Partition, expired_partitions, first_id, id_ranges, width_for
from faas.retention.policy import Policy

log = structlog.get_logger()

# A transaction that began before a function was deleted may insert an execution of it. None lasts as long as this.
DELETION_GRACE_SECONDS = 600


class RunResult(msgspec.Struct, frozen=True, rename="camel"):
    """What a run has done: partitions, and counts of rows. `complete` is false when its time was over before."""

    created: list[Partition]
    dropped: list[Partition]
    deleted: int
    cleared: int
    deleted_of_functions: int
    deleted_messages: int
    complete: bool


async def run_once(connection: Connection, policy: Policy, pacer: Pacer, *, paused: bool = False) -> RunResult:
    """Apply `policy` until everything is done, or each step has taken the time of `pacer`.

    The caller holds the advisory lock. While `paused`, nothing goes because of its age.
    """
    complete = True

    async def step(work: Callable[[Pacer], Awaitable[int]]) -> int:
        nonlocal complete
        own = pacer.restarted()
        count = await work(own)
        complete = complete and not own.spent
        return count

    state = await queries.get_state(connection)
    created = await maintenance.create_missing(connection, state.now, width_for(policy.executions))
    partitions = await queries.list_partitions(connection)
    dropped: list[Partition] = []
    deleted = cleared = deleted_messages = 0
    if not paused:
        horizon = policy.horizon(state.now)
        if horizon is not None:
            dropped = await maintenance.drop(connection, expired_partitions(partitions, horizon))
            strays = stray_ranges(partitions, policy, state.now)
            deleted = await step(lambda own: batches.delete_executions(connection, own, strays))
            deleted_messages = await step(lambda own: batches.delete_archived_messages(connection, own, horizon))
            partitions = await queries.list_partitions(connection)
        due = await payload_ranges(connection, partitions, policy)
        cleared = await step(lambda own: batches.clear_payloads(connection, own, due))
    ranges = id_ranges(partitions)
    of_functions = await step(
        lambda own: batches.clean_deleted_functions(connection, own, ranges, DELETION_GRACE_SECONDS)
    )
    if deleted or cleared or of_functions or deleted_messages:
        log.info(
            "retention.rows_removed",
            executions=deleted,
            payloads=cleared,
            executions_of_deleted_functions=of_functions,
            archived_messages=deleted_messages,
        )
    return RunResult(created, dropped, deleted, cleared, of_functions, deleted_messages, complete)


def stray_ranges(partitions: list[Partition], policy: Policy, now: datetime) -> list[IdRange]:
    """Return the ranges of expired executions that no expired partition has: they are deleted row by row.

    They are in the default partition, or in a partition that was made for a longer time than is kept now, as the first
    one. Executions that are expired by less than the width of a partition are left to the dropping of theirs.
    """
    horizon = policy.horizon(now)
    if horizon is None:
        return []
    upper = first_id(horizon - width_for(policy.executions))
    expired = [partition.ids for partition in expired_partitions(partitions, horizon)]
    return [
        ids
        for ids in id_ranges(partitions, LEAST_ID, upper)
        if not any(each.lower <= ids.lower and ids.upper <= each.upper for each in expired)
    ]


async def payload_ranges(connection: Connection, partitions: list[Partition], policy: Policy) -> list[IdRange]:
    """Return the ranges whose payloads are due: from where the last run stopped to the oldest RUNNING execution."""
    if policy.payloads is None or not policy.clears_payloads:
        return []
    state = await queries.get_state(connection)
    lower, upper = state.payloads_cleared or LEAST_ID, first_id(state.now - policy.payloads)
    upper = await queries.find_oldest_running(connection, before=upper) or upper
    return id_ranges(partitions, lower, upper) if lower < upper else []

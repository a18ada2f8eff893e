"""What a run would remove now: `faas prune --dry-run`. Reads every row concerned, and changes nothing."""

import msgspec

from faas.database.pool import Connection
from faas.retention import queries
from faas.retention.partitions import expired_partitions
from faas.retention.policy import Policy
from faas.retention.queries import SizeRow
from faas.retention.run import payload_ranges, stray_ranges


class ForecastPartition(msgspec.Struct, frozen=True, rename="camel"):
    """A partition that would be dropped. One with a `running` execution would stay."""

    name: str
    size: SizeRow
    running: bool


class Forecast(msgspec.Struct, frozen=True, rename="camel"):
    """What would go. Bytes of rows do not include indexes; those of partitions are on disk, with indexes."""

    partitions: list[ForecastPartition]
    executions: SizeRow
    payloads: SizeRow
    executions_of_deleted_functions: SizeRow
    archived_jobs: SizeRow
    archived_results: SizeRow


_NONE = SizeRow(0, 0)


async def forecast(connection: Connection, policy: Policy) -> Forecast:
    """Return what applying `policy` now would remove."""
    state = await queries.get_state(connection)
    partitions = await queries.list_partitions(connection)
    horizon = policy.horizon(state.now)
    expired = [] if horizon is None else expired_partitions(partitions, horizon)
    kept = [partition for partition in partitions if partition not in expired]
    dropped = []
    for partition in expired:
        ids = partition.ids
        size = await queries.measure_partition(connection, lower=ids.lower, upper=ids.upper, name=partition.name)
        running = await queries.has_running(connection, lower=ids.lower, upper=ids.upper)
        dropped.append(ForecastPartition(partition.name, size, running))
    strays = stray_ranges(partitions, policy, state.now)
    executions = [await queries.measure_executions(connection, lower=ids.lower, upper=ids.upper) for ids in strays]
    payloads = [
        await queries.measure_payloads(connection, lower=ids.lower, upper=ids.upper)
        for ids in await payload_ranges(connection, partitions, policy)
        if any(each.ids.lower <= ids.lower and ids.upper <= each.upper for each in kept)
    ]
    functions = await queries.list_deleted_functions(connection, grace_seconds=0)
    return Forecast(
        partitions=dropped,
        executions=_sum(executions),
        payloads=_sum(payloads),
        executions_of_deleted_functions=await queries.measure_executions_of(
            connection, function_ids=[function.function_id for function in functions]
        ),
        archived_jobs=_NONE if horizon is None else await queries.measure_archived_jobs(connection, before=horizon),
        archived_results=_NONE
        if horizon is None
        else await queries.measure_archived_results(connection, before=horizon),
    )


def _sum(sizes: list[SizeRow]) -> SizeRow:
    return SizeRow(sum(size.rows for size in sizes), sum(size.bytes for size in sizes))

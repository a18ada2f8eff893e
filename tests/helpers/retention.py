"""Executions of a given age, and partitions of a database under test."""

from datetime import datetime, timedelta
from uuid import UUID, uuid4

from faas.database.pool import Connection, Pool
from faas.retention import queries
from faas.retention.partitions import Partition, first_id, missing_partitions


async def insert_executions(
    pool: Pool, function_id: UUID, ages: list[timedelta], status: str = "COMPLETED", payload: str = '{"a":1}'
) -> list[UUID]:
    """Insert executions that began `ages` ago, as their ids say too."""
    now = await database_now(pool)
    ids = [UUID(int=first_id(now - age).int | 7 << 76 | uuid4().int & ((1 << 62) - 1) | 2 << 62) for age in ages]
    await pool.executemany(
        "INSERT INTO executions (id, function_id, revision, process_id, status, input, output, error_message, logs, "
        "created_at, started_at, completed_at) VALUES ($1, $2, 1, $7, $3, $4, "
        "CASE $3 WHEN 'COMPLETED' THEN $4::json END, CASE $3 WHEN 'FAILED' THEN 'no' END, "
        "CASE $3 WHEN 'RUNNING' THEN NULL ELSE 'log' END, $5, $5, $6)",
        [
            (
                execution_id,
                function_id,
                status,
                payload.encode(),
                now - age,
                None if status == "RUNNING" else now - age,
                uuid4(),
            )
            for execution_id, age in zip(ids, ages, strict=True)
        ],
    )
    return ids


async def insert_many_executions(pool: Pool, function_id: UUID, count: int, payload_bytes: int = 10) -> None:
    """Insert executions of this millisecond, in one statement. Payloads are hexadecimal digits, which compress badly."""
    before = first_id(await database_now(pool)).hex[:12]
    await pool.execute(
        "INSERT INTO executions (id, function_id, revision, process_id, status, input, output, created_at, started_at, "
        "completed_at) SELECT ($2::text || '7' || right(md5(number::text), 19))::uuid, $1, 1, $1, 'COMPLETED', "
        "to_json((SELECT string_agg(md5(number::text || part::text), '') FROM generate_series(0, $4 / 32) AS part)), "
        "'{}', now(), now(), now() FROM generate_series(1, $3::int) AS number",
        function_id,
        before,
        count,
        payload_bytes,
    )


async def database_now(pool: Pool) -> datetime:
    """Return the time of the database's clock."""
    now: datetime = await pool.fetchval("SELECT clock_timestamp()")
    return now


async def create_old_partitions(pool: Pool, days: int) -> list[Partition]:
    """Replace the first partition by daily ones for the last `days` days, and return them, oldest first."""
    now = await database_now(pool)
    async with pool.acquire() as connection:
        await connection.execute("DROP TABLE executions_first")
        for age in range(days, -1, -1):
            await _create(connection, now - timedelta(days=age))
        return await queries.list_partitions(connection)


async def _create(connection: Connection, at: datetime) -> None:
    existing = await queries.list_partitions(connection)
    for partition in missing_partitions(existing, at, timedelta(days=1))[:1]:
        assert partition.lower
        await queries.create_partition(connection, name=partition.name, lower=partition.lower, upper=partition.upper)


async def partition_of(pool: Pool, execution_id: UUID) -> str | None:
    """Return the partition that has the execution."""
    name: str | None = await pool.fetchval(
        "SELECT tableoid::regclass::text FROM executions WHERE id = $1", execution_id
    )
    return name


async def ids_left(pool: Pool) -> set[UUID]:
    """Return the ids of all executions on record."""
    return {row["id"] for row in await pool.fetch("SELECT id FROM executions")}

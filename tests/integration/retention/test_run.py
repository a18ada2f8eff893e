"""Runs of retention on a real database: what goes, what stays, and what the locks allow."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from faas.database.pool import Connection, Pool
from faas.retention import batches, maintenance, queries
from faas.retention.batches import Pacer
from faas.retention.forecast import forecast
from faas.retention.partitions import GREATEST_ID, IdRange, first_id
from faas.retention.policy import Policy
from faas.retention.run import RunResult, run_once
from tests.helpers.executions import insert_function
from tests.helpers.retention import (
    create_old_partitions,
    database_now,
    ids_left,
    insert_executions,
    insert_many_executions,
    partition_of,
)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KEEP_3_DAYS = Policy(3 * DAY, 3 * DAY)
KEEP_90_DAYS = Policy(90 * DAY, 90 * DAY)
KEEP_ALL = Policy(None, None)


async def run(pool: Pool, policy: Policy) -> RunResult:
    async with pool.acquire() as connection:
        return await run_once(connection, policy, Pacer(0))


async def test_run_drops_expired_partitions_and_nothing_else(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    await create_old_partitions(pool, 8)
    ids = await insert_executions(pool, function_id, [age * DAY for age in range(8)])
    result = await run(pool, KEEP_3_DAYS)
    left = await ids_left(pool)
    assert set(ids[:4]) <= left
    assert not set(ids[5:]) & left  # the fifth is in a partition of a day that is partly kept
    assert len(result.dropped) >= 3
    assert await pool.fetchval("SELECT to_regclass($1)", result.dropped[0].name) is None


async def test_run_keeps_all_with_the_setting_0(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    ids = await insert_executions(pool, function_id, [900 * DAY, HOUR])
    result = await run(pool, KEEP_ALL)
    assert (result.dropped, result.deleted) == ([], 0)
    assert await ids_left(pool) == set(ids)


async def test_run_creates_partitions_ahead_and_new_executions_go_there(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    (before,) = await insert_executions(pool, function_id, [timedelta()])
    assert await partition_of(pool, before) == "executions_first"
    await run(pool, KEEP_3_DAYS)
    (later,) = await insert_executions(pool, function_id, [-2.5 * HOUR])
    assert (await partition_of(pool, later) or "").startswith("executions_2")


async def test_run_moves_rows_of_the_default_partition_into_a_new_one(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    (ahead,) = await insert_executions(pool, function_id, [-2.5 * HOUR])
    assert await partition_of(pool, ahead) == "executions_default"
    await run(pool, KEEP_3_DAYS)
    assert (await partition_of(pool, ahead) or "").startswith("executions_2")


@pytest.mark.parametrize(("count", "payload_bytes"), [(5001, 10), (40, 1 << 20)])
async def test_run_leaves_many_rows_in_the_default_partition(pool: Pool, count: int, payload_bytes: int) -> None:
    """Executions wait while rows are moved; a move of many would take too long, fail and be tried again."""
    await pool.execute("DROP TABLE executions_first")
    function_id = await insert_function(pool, "f")
    await insert_many_executions(pool, function_id, count, payload_bytes)
    (ahead,) = await insert_executions(pool, function_id, [-1.5 * HOUR])
    for _ in range(2):
        result = await run(pool, KEEP_90_DAYS)
        assert await pool.fetchval("SELECT count(*) FROM executions_default") == count
        assert (await partition_of(pool, ahead) or "").startswith("executions_2")
    assert result.created == []
    (later,) = await insert_executions(pool, function_id, [-1.5 * HOUR])
    assert (await partition_of(pool, later) or "").startswith("executions_2")


async def test_run_moves_as_many_rows_as_a_lock_allows(pool: Pool) -> None:
    await pool.execute("DROP TABLE executions_first")
    function_id = await insert_function(pool, "f")
    await insert_many_executions(pool, function_id, 4999)
    (last,) = await insert_executions(pool, function_id, [timedelta()])
    await run(pool, KEEP_90_DAYS)
    assert await pool.fetchval("SELECT count(*) FROM executions_default") == 0
    assert (await partition_of(pool, last) or "").startswith("executions_2")


@pytest.fixture
async def rows_read_by_attach(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of the default partition that each creation of a partition reads under its lock."""
    create, counts = queries.create_partition, []
    read = "SELECT coalesce(seq_tup_read, 0) FROM pg_stat_xact_all_tables WHERE relname = 'executions_default'"

    async def counted(connection: Connection, *, name: str, lower: UUID, upper: UUID) -> int:
        before = await connection.fetchval(read)
        moved = await create(connection, name=name, lower=lower, upper=upper)
        counts.append(await connection.fetchval(read) - before)
        return moved

    monkeypatch.setattr(queries, "create_partition", counted)
    return counts


async def test_run_reads_a_small_default_partition_when_it_creates_others(
    pool: Pool, rows_read_by_attach: list[int]
) -> None:
    await insert_strays(pool, 500)
    assert len((await run(pool, KEEP_90_DAYS)).created) == len(rows_read_by_attach) >= 2
    assert set(rows_read_by_attach) == {500}


async def test_run_reads_no_row_of_a_large_default_partition_under_the_lock(
    pool: Pool, rows_read_by_attach: list[int]
) -> None:
    """Reading millions takes longer than executions may wait; only a validated constraint spares it."""
    await insert_strays(pool, 300_000)
    assert await pool.fetchval("SELECT pg_relation_size('executions_default')") > maintenance._MOST_SCANNED_BYTES
    assert len((await run(pool, KEEP_90_DAYS)).created) == len(rows_read_by_attach) >= 2
    assert set(rows_read_by_attach) == {0}
    function_id = await insert_function(pool, "f")
    (ahead, far_ahead) = await insert_executions(pool, function_id, [-25 * HOUR, -100 * DAY])
    assert (await partition_of(pool, ahead) or "").startswith("executions_2")
    assert await partition_of(pool, far_ahead) == "executions_default"  # which refuses no row any more


async def test_run_beside_a_large_default_partition_refuses_no_execution_of_now(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "_MOST_SCANNED_BYTES", 0)
    await pool.execute("DROP TABLE executions_first")
    function_id = await insert_function(pool, "f")
    now, ahead = await insert_executions(pool, function_id, [timedelta(), -20 * HOUR])
    validate = queries.validate_exclusion
    during: list[UUID] = []

    async def validated_while_executions_begin(connection: Connection) -> None:
        during.extend(await insert_executions(pool, function_id, [timedelta()]))
        await validate(connection)

    monkeypatch.setattr(queries, "validate_exclusion", validated_while_executions_begin)
    began = await database_now(pool)
    created = (await run(pool, KEEP_90_DAYS)).created
    assert created
    assert len(during) == len(created)
    assert {await partition_of(pool, each) for each in (now, ahead, *during)} == {"executions_default"}
    assert first_id(began + maintenance._EXCLUSION_MARGIN) < created[0].ids.lower


async def test_run_removes_what_a_killed_process_has_excluded(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    ahead = await database_now(pool) + 500 * DAY
    async with pool.acquire() as connection:
        await queries.exclude_from_default(connection, lower=first_id(ahead), upper=GREATEST_ID)
    with pytest.raises(asyncpg.CheckViolationError):
        await insert_executions(pool, function_id, [-501 * DAY])
    await run(pool, KEEP_90_DAYS)
    await insert_executions(pool, function_id, [-501 * DAY])


async def insert_strays(pool: Pool, count: int) -> None:
    """Insert executions of a clock that is years ahead, into the default partition."""
    function_id = await insert_function(pool, "stray")
    before = first_id(await database_now(pool) + 2000 * DAY).hex[:12]
    await pool.execute(
        "INSERT INTO executions_default (id, function_id, revision, process_id, status, input, output, created_at, "
        "started_at, completed_at) SELECT ($2::text || '7' || right(md5(number::text), 19))::uuid, $1, 1, $1, "
        "'COMPLETED', '{}', '{}', now(), now(), now() FROM generate_series(1, $3::int) AS number",
        function_id,
        before,
        count,
    )


async def test_run_keeps_a_partition_with_a_running_execution(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    await create_old_partitions(pool, 8)
    ended = await insert_executions(pool, function_id, [7 * DAY])
    running = await insert_executions(pool, function_id, [7 * DAY], "RUNNING")
    await run(pool, KEEP_3_DAYS)
    assert set(ended + running) <= await ids_left(pool)
    await pool.execute(
        "UPDATE executions SET status = 'FAILED', error_message = 'x', completed_at = now() WHERE status = 'RUNNING'"
    )
    await run(pool, KEEP_3_DAYS)
    assert await ids_left(pool) == set()


async def test_drop_partition_looks_for_running_executions_under_its_lock(pool: Pool) -> None:
    """An execution may begin between the first look and the lock, in a process whose clock is wrong."""
    function_id = await insert_function(pool, "f")
    partitions = await create_old_partitions(pool, 5)
    await insert_executions(pool, function_id, [5 * DAY], "RUNNING")
    async with pool.acquire() as connection:
        assert not await queries.drop_partition(connection, name=partitions[0].name)
        assert await queries.drop_partition(connection, name=partitions[1].name)


async def test_run_deletes_expired_executions_outside_of_expired_partitions(pool: Pool) -> None:
    """The first partition has all executions from before the migration, and goes when the youngest is expired."""
    function_id = await insert_function(pool, "f")
    first = await insert_executions(pool, function_id, [900 * DAY, 5 * DAY, HOUR])
    running = await insert_executions(pool, function_id, [800 * DAY], "RUNNING")
    result = await run(pool, KEEP_3_DAYS)
    assert (result.dropped, result.deleted) == ([], 2)
    assert await ids_left(pool) == {first[2], *running}


async def test_run_deletes_expired_executions_of_the_default_partition(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    await create_old_partitions(pool, 2)
    ids = await insert_executions(pool, function_id, [30 * DAY, HOUR])
    assert await partition_of(pool, ids[0]) == "executions_default"
    assert (await run(pool, KEEP_3_DAYS)).deleted == 1
    assert await ids_left(pool) == {ids[1]}


async def test_run_clears_payloads_before_rows(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    old = await insert_executions(pool, function_id, [(2 + number / 100) * DAY for number in range(450)])
    (failed,) = await insert_executions(pool, function_id, [2.5 * DAY], "FAILED")
    young = await insert_executions(pool, function_id, [HOUR])
    assert (await run(pool, Policy(90 * DAY, DAY))).cleared == 451
    rows = await pool.fetch("SELECT * FROM executions WHERE payloads_expired")
    assert {row["id"] for row in rows} == {*old, failed}
    assert {(row["input"], row["output"], row["logs"]) for row in rows} == {(None, None, None)}
    assert await pool.fetchval("SELECT error_message FROM executions WHERE id = $1", failed) == "no"
    assert await pool.fetchval("SELECT input::text FROM executions WHERE id = $1", young[0]) == b'{"a":1}'.decode()
    assert (await run(pool, Policy(90 * DAY, DAY))).cleared == 0


async def test_run_clears_the_payload_of_an_execution_that_was_running(pool: Pool) -> None:
    """Payloads are cleared in the order of ids; an execution that still runs stops them, so that none is passed over."""
    function_id = await insert_function(pool, "f")
    before, after = await insert_executions(pool, function_id, [4 * DAY, 2 * DAY])
    (running,) = await insert_executions(pool, function_id, [3 * DAY], "RUNNING")
    policy = Policy(90 * DAY, DAY)
    assert (await run(pool, policy)).cleared == 1
    await pool.execute(
        "UPDATE executions SET status = 'COMPLETED', output = '{}', completed_at = now() WHERE id = $1", running
    )
    assert (await run(pool, policy)).cleared == 2
    assert await pool.fetchval("SELECT count(*) FROM executions WHERE payloads_expired") == 3
    assert {before, after, running} == await ids_left(pool)


async def test_run_deletes_executions_of_deleted_functions_and_those_that_are_inserted_late(pool: Pool) -> None:
    deleted, kept = await insert_function(pool, "deleted"), await insert_function(pool, "kept")
    await insert_executions(pool, deleted, [number * HOUR for number in range(450)])
    others = await insert_executions(pool, kept, [HOUR, 2 * HOUR])
    await pool.execute("INSERT INTO deleted_functions (function_id) VALUES ($1)", deleted)
    assert (await run(pool, KEEP_ALL)).deleted_of_functions == 450
    late = await insert_executions(pool, deleted, [timedelta()])  # of a statement that began before the deletion
    assert (await run(pool, KEEP_ALL)).deleted_of_functions == 0
    assert await ids_left(pool) == {*others, *late}
    await pool.execute("UPDATE deleted_functions SET deleted_at = now() - interval '1 hour'")
    assert (await run(pool, KEEP_ALL)).deleted_of_functions == 1
    assert await ids_left(pool) == set(others)
    assert await pool.fetchval("SELECT count(*) FROM deleted_functions") == 0


async def test_run_deletes_expired_messages_of_both_archives(pool: Pool) -> None:
    for queue in ("compilation_jobs", "compilation_results"):
        for _ in range(45):
            message_id = await pool.fetchval("SELECT pgmq.send($1, '{}')", queue)
            await pool.execute("SELECT pgmq.archive($1, $2::bigint)", queue, message_id)
        await pool.execute(f"UPDATE pgmq.a_{queue} SET archived_at = now() - interval '9 days' WHERE msg_id > 2")
    assert (await run(pool, KEEP_ALL)).deleted_messages == 0
    assert (await run(pool, KEEP_3_DAYS)).deleted_messages == 86
    for queue in ("compilation_jobs", "compilation_results"):
        assert await pool.fetchval(f"SELECT count(*) FROM pgmq.a_{queue}") == 2


async def test_run_stops_when_its_time_is_over_and_continues_later(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    await insert_executions(pool, function_id, [(2 + number / 1000) * DAY for number in range(500)])
    policy = Policy(90 * DAY, DAY)
    async with pool.acquire() as connection:
        result = await run_once(connection, policy, Pacer(0, seconds=0))
    assert (result.cleared, result.complete) == (0, False)
    assert (await run(pool, policy)).cleared == 500


async def test_run_step_that_does_not_finish_leaves_time_to_the_others(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting years of executions takes hours; payloads and executions of deleted functions go during it."""
    function_id, gone = await insert_function(pool, "f"), await insert_function(pool, "gone")
    await insert_executions(pool, function_id, [(800 + number) * DAY for number in range(3)])
    await insert_executions(pool, function_id, [2 * DAY])
    await insert_executions(pool, gone, [HOUR])
    await pool.execute("INSERT INTO deleted_functions (function_id) VALUES ($1)", gone)
    delete = batches.delete_executions

    async def delete_until_the_time_is_over(connection: Connection, pacer: Pacer, ranges: Sequence[IdRange]) -> int:
        while not pacer.spent:
            await asyncio.sleep(0.01)
        return await delete(connection, pacer, ranges)

    monkeypatch.setattr(batches, "delete_executions", delete_until_the_time_is_over)
    async with pool.acquire() as connection:
        result = await run_once(connection, Policy(90 * DAY, DAY), Pacer(0, seconds=6))
    assert (result.deleted, result.cleared, result.deleted_of_functions) == (0, 4, 1)
    assert not result.complete


async def test_drop_waits_for_a_lock_only_briefly_and_tries_again(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup holds its locks for as long as it takes. Statements behind the waiting lock would wait as long."""
    monkeypatch.setattr(maintenance, "_ATTEMPT_INTERVAL_SECONDS", 1.0)
    function_id = await insert_function(pool, "f")
    await create_old_partitions(pool, 8)
    (old, young) = await insert_executions(pool, function_id, [7 * DAY, HOUR])
    async with pool.acquire() as reading:
        transaction = reading.transaction()
        await transaction.start()
        await reading.execute("SELECT count(*) FROM executions")
        dropping = asyncio.create_task(run(pool, KEEP_3_DAYS))
        waits = []
        for _ in range(20):
            began = asyncio.get_running_loop().time()
            await pool.execute("UPDATE executions SET logs = 'x' WHERE id = $1", young)
            waits.append(asyncio.get_running_loop().time() - began)
            await asyncio.sleep(0.02)
        assert max(waits) < 1
        assert not dropping.done()
        await transaction.commit()
    await asyncio.wait_for(dropping, 30)
    assert await ids_left(pool) == {young}
    assert old != young


async def test_drop_that_never_gets_its_lock_is_deferred(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "_ATTEMPT_INTERVAL_SECONDS", 0.01)
    function_id = await insert_function(pool, "f")
    await create_old_partitions(pool, 8)
    ids = await insert_executions(pool, function_id, [7 * DAY])
    async with pool.acquire() as reading, reading.transaction():
        await reading.execute("SELECT count(*) FROM executions")
        result = await asyncio.wait_for(run(pool, KEEP_3_DAYS), 30)
        assert (result.dropped, result.deleted) == ([], 0)
    assert await ids_left(pool) == set(ids)


async def test_forecast_is_what_a_run_does(pool: Pool) -> None:
    function_id, deleted = await insert_function(pool, "f"), await insert_function(pool, "deleted")
    await create_old_partitions(pool, 8)
    big = json.dumps("x" * 5000)
    await insert_executions(pool, function_id, [7 * DAY, 7 * DAY, 30 * DAY, 2 * DAY, 2 * DAY, HOUR], payload=big)
    requested = '[{"method":"GET","url":"https://api.example.com/","status":200,"error":null,"milliseconds":1.5}]'
    await pool.execute("UPDATE executions SET requests = $1::text::json", requested)
    await insert_executions(pool, deleted, [HOUR, 2 * HOUR, 3 * HOUR])
    await pool.execute("INSERT INTO deleted_functions (function_id) VALUES ($1)", deleted)
    message_id = await pool.fetchval("SELECT pgmq.send('compilation_jobs', '{}')")
    await pool.execute("SELECT pgmq.archive('compilation_jobs', $1::bigint)", message_id)
    await pool.execute("UPDATE pgmq.a_compilation_jobs SET archived_at = now() - interval '9 days'")
    policy = Policy(3 * DAY, DAY)
    before = await ids_left(pool)
    async with pool.acquire() as connection:
        found = await forecast(connection, policy)
    assert await ids_left(pool) == before
    result = await run(pool, policy)
    assert [each.name for each in found.partitions] == [each.name for each in result.dropped]
    assert sum(each.size.rows for each in found.partitions) == 2
    assert all(each.size.bytes >= 8192 for each in found.partitions)
    assert found.executions.rows == result.deleted == 1
    assert found.payloads.rows == result.cleared == 2
    assert 20_000 + 2 * len(requested) < found.payloads.bytes < 21_000
    assert found.executions_of_deleted_functions.rows == result.deleted_of_functions == 3
    assert (found.archived_jobs.rows, found.archived_results.rows, result.deleted_messages) == (1, 0, 1)
    async with pool.acquire() as connection:
        again = await forecast(connection, policy)
    assert (again.partitions, again.executions.rows, again.payloads.rows) == ([], 0, 0)


async def test_batches_of_large_payloads_have_few_rows(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    ages = [(2 - number / 100) * DAY for number in range(10)]
    ids = await insert_executions(pool, function_id, ages, payload=json.dumps("x" * 100_000))
    async with pool.acquire() as connection:
        last = await queries.find_batch_end(connection, lower=ids[0], upper=GREATEST_ID, limit=200, budget=500_000)
        found = await queries.list_executions_of(
            connection, function_ids=[function_id], lower=ids[0], upper=GREATEST_ID, limit=200, budget=500_000
        )
        alone = await queries.find_batch_end(connection, lower=ids[0], upper=GREATEST_ID, limit=200, budget=1)
    assert (last, alone) == (ids[2], ids[0])  # an input and an output of 100 kB each
    assert len(found) == 3


async def test_partition_of_an_id_that_is_no_time_is_the_default_one(pool: Pool) -> None:
    function_id = await insert_function(pool, "f")
    strange = UUID(int=first_id(await database_now(pool) + 40_000 * DAY).int)
    await pool.execute(
        "INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at) "
        "VALUES ($1, $2, 1, $3, '{}', now(), now())",
        strange,
        function_id,
        uuid4(),
    )
    assert await partition_of(pool, strange) == "executions_default"


async def test_constraints_of_payloads(pool: Pool) -> None:
    """A payload is missing only where payloads_expired says so, and never of a RUNNING execution."""
    function_id = await insert_function(pool, "f")
    await insert_executions(pool, function_id, [HOUR])
    for change in ("input = NULL", "payloads_expired = true", "input = NULL, payloads_expired = true", "output = NULL"):
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(f"UPDATE executions SET {change}")
    await pool.execute("UPDATE executions SET input = NULL, output = NULL, logs = NULL, payloads_expired = true")

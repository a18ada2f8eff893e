"""The background task: one process at a time, partitions before the first execution, a clock that jumps, metrics."""

import asyncio
from datetime import timedelta

import asyncpg
import pytest
import structlog

from faas.database.pool import Pool
from faas.retention import queries, task
from faas.retention.lock import advisory_lock
from faas.retention.task import RetentionTask
from faas.settings import Settings
from tests.helpers.executions import insert_function
from tests.helpers.retention import ids_left, insert_executions
from tests.helpers.support import Platform, core_wat, eventually

DAY = timedelta(days=1)


def retention_settings(settings: Settings, **changes: float) -> Settings:
    return Settings(database_url=settings.database_url, data_dir=settings.data_dir, **changes)  # type: ignore[arg-type]


async def test_prepare_creates_the_partitions_of_the_next_days(pool: Pool, settings: Settings) -> None:
    await RetentionTask(pool, settings).prepare()
    async with pool.acquire() as connection:
        names = [partition.name for partition in await queries.list_partitions(connection)]
    assert names[0] == "executions_first"
    assert len(names) >= 3


async def test_run_waits_while_another_process_holds_the_lock(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "_INTERVAL_SECONDS", 0.02)
    function_id = await insert_function(pool, "f")
    ids = await insert_executions(pool, function_id, [900 * DAY])
    async with pool.acquire() as other, advisory_lock(other) as locked:
        assert locked
        running = asyncio.create_task(RetentionTask(pool, settings).run())
        await asyncio.sleep(0.3)
        assert await ids_left(pool) == set(ids)
    await eventually(lambda: ids_left(pool), lambda left: not left)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_run_releases_the_lock_when_it_is_cancelled(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "_PAUSE_FACTOR", 1e6)  # cancelled in its first pause
    function_id = await insert_function(pool, "f")
    await insert_executions(pool, function_id, [900 * DAY] * 3)
    running = asyncio.create_task(RetentionTask(pool, settings).run())
    await eventually(lambda: ids_left(pool), lambda left: not left)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with pool.acquire() as connection, advisory_lock(connection) as locked:
        assert locked


async def test_run_survives_an_error_of_the_database(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "_INTERVAL_SECONDS", 0.02)
    function_id = await insert_function(pool, "f")
    await insert_executions(pool, function_id, [900 * DAY])
    await pool.execute("ALTER TABLE retention_marks RENAME TO hidden")
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(RetentionTask(pool, settings).run())

        async def failed() -> bool:
            return "retention.run_failed" in [entry["event"] for entry in logs]

        await eventually(failed)
        await pool.execute("ALTER TABLE hidden RENAME TO retention_marks")
        await eventually(lambda: ids_left(pool), lambda left: not left)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_run_once_deletes_nothing_for_a_day_after_a_jump_of_the_clock(pool: Pool, settings: Settings) -> None:
    """With a clock that is years ahead, every execution would be expired."""
    function_id = await insert_function(pool, "f")
    retention = RetentionTask(pool, retention_settings(settings, keep_executions=8 * 86400.0))
    async with pool.acquire() as connection:
        await retention.run_once(connection)
        ids = await insert_executions(pool, function_id, [900 * DAY])
        await pool.execute("UPDATE retention_marks SET at = at - interval '3 days' WHERE name = 'checked'")
        with structlog.testing.capture_logs() as logs:
            assert (await retention.run_once(connection)).deleted == 0
            assert (await retention.run_once(connection)).deleted == 0
        assert [entry["event"] for entry in logs].count("retention.paused") == 1
        assert await ids_left(pool) == set(ids)
        await pool.execute("UPDATE retention_marks SET at = at - interval '1 day' WHERE name = 'paused'")
        assert (await retention.run_once(connection)).deleted == 1


async def test_run_once_pauses_after_a_run_that_failed_to_record_the_pause(pool: Pool, settings: Settings) -> None:
    function_id = await insert_function(pool, "f")
    retention = RetentionTask(pool, retention_settings(settings, keep_executions=8 * 86400.0))
    async with pool.acquire() as connection:
        await retention.run_once(connection)
        ids = await insert_executions(pool, function_id, [900 * DAY])
        await pool.execute("UPDATE retention_marks SET at = at - interval '3 days' WHERE name = 'checked'")
        await pool.execute("ALTER TABLE retention_marks ADD CONSTRAINT unwritable CHECK (name <> 'paused')")
        with pytest.raises(asyncpg.CheckViolationError):
            await retention.run_once(connection)
        await pool.execute("ALTER TABLE retention_marks DROP CONSTRAINT unwritable")
        assert (await retention.run_once(connection)).deleted == 0
    assert await ids_left(pool) == set(ids)


async def test_run_once_forgets_a_pause_of_a_clock_that_was_corrected(pool: Pool, settings: Settings) -> None:
    function_id = await insert_function(pool, "f")
    await insert_executions(pool, function_id, [900 * DAY])
    await pool.execute("INSERT INTO retention_marks (name, at) VALUES ('paused', now() + interval '4 years')")
    async with pool.acquire() as connection:
        assert (await RetentionTask(pool, settings).run_once(connection)).deleted == 1


async def test_metrics_have_the_bytes_of_each_table(platform: Platform) -> None:
    await platform.deploy("echo", core_wat())

    async def table_sizes() -> dict[str, float]:
        text = (await platform.http.get("/metrics")).text
        return {
            line.split('"')[1]: float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith("faas_table_bytes{")
        }

    sizes = await table_sizes()
    assert {"functions", "executions", "pgmq.a_compilation_results"} <= set(sizes)
    assert all(size > 0 for size in sizes.values())

    async def is_sum_of_partitions() -> bool:
        partitions = await platform.pool.fetchval(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'executions'::regclass"
        )
        return bool((await table_sizes())["executions"] == partitions)

    await eventually(is_sum_of_partitions)  # a vacuum or the first retention run may come between the two

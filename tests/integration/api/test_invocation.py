"""Invocations that are rejected, abandoned by their client or not recorded."""

import asyncio
import time
from pathlib import Path

import pytest

from faas.settings import Settings
from tests.helpers.support import LOOP_WAT, Platform, core_wat, eventually


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,
        data_dir=tmp_path,
        role="api",
        time_limit=1.5,
        poll_interval=60,
        database_pool=4,
        max_in_flight=3,
    )


@pytest.mark.alone
async def test_load_shedding_answers_429_immediately(platform: Platform) -> None:
    await platform.deploy("loop", LOOP_WAT)
    await platform.deploy("echo", core_wat())
    running = [asyncio.create_task(platform.execute("loop")) for _ in range(3)]

    async def in_flight() -> int:
        return int(await platform.pool.fetchval("SELECT count(*) FROM executions WHERE status = 'RUNNING'"))

    await eventually(in_flight, lambda count: count == 3)
    began = time.monotonic()
    refused = [await platform.http.post("/functions/echo/execute", json={}) for _ in range(5)]
    assert time.monotonic() - began < 1.5
    for response in refused:
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) >= 1
        assert response.json()["title"] == "Too many executions in flight"
    await asyncio.gather(*running)
    assert (await platform.execute("echo"))["status"] == "COMPLETED"
    # Rejected invocations are not recorded.
    assert len((await platform.http.get("/functions/echo/executions")).json()) == 1


@pytest.mark.parametrize("input_bytes", [10, 100_000], ids=["small", "large"])
async def test_invocation_of_a_disconnected_client_is_recorded(platform: Platform, input_bytes: int) -> None:
    await platform.deploy("loop", core_wat("(loop (br 0)) unreachable", memory="4 2000"))
    disconnected = asyncio.create_task(platform.execute("loop", {"a": "x" * input_bytes}))

    async def statuses() -> list[str]:
        return [row["status"] for row in await platform.pool.fetch("SELECT status FROM executions")]

    await eventually(statuses, lambda found: found == ["RUNNING"])
    disconnected.cancel()
    assert await eventually(statuses, lambda found: found == ["FAILED"]) == ["FAILED"]


async def test_invocation_without_a_database_is_answered_503(platform: Platform) -> None:
    """The table is locked until the connection is terminated; later invocations succeed."""
    await platform.deploy("echo", core_wat())
    name = await platform.pool.fetchval("SELECT current_database()")
    async with platform.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE executions IN EXCLUSIVE MODE")
        waiting = asyncio.create_task(platform.http.post("/functions/echo/execute", json={"input": {"n": 1}}))

        async def blocked() -> object:
            await connection.execute(
                "SELECT pg_stat_clear_snapshot()"
            )  # a transaction would see its first snapshot again
            return await connection.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock' "
                "AND query LIKE '%INSERT INTO executions%'",
                name,
            )

        pid = await eventually(blocked)
        await connection.execute("SELECT pg_terminate_backend($1::int)", pid)
        response = await waiting
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["type"] == "urn:faas:problem:database-unavailable"
    assert (await platform.execute("echo", {"n": 2}))["output"] == {"n": 2}

    async def running() -> int:
        return int(await platform.pool.fetchval("SELECT count(*) FROM executions WHERE status = 'RUNNING'"))

    await eventually(running, lambda count: count == 0)

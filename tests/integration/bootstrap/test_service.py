"""Tests of the composition root: the connection pools that a process opens, and how its background tasks end."""

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
import structlog

from faas.bootstrap import open_service, service
from faas.bootstrap.background_tasks import run_in_background
from faas.database.pool import Pool
from faas.settings import Role, Settings
from tests.helpers.executions import insert_function
from tests.helpers.retention import ids_left, insert_executions
from tests.helpers.support import eventually


def documented_pool_sizes(role: Role) -> list[int]:
    """The sizes in the table of the module's docstring, of the pools that a process of `role` opens."""
    rows = re.findall(r"^\| [\w ]+ \| (\d+) \| ([\w, ]+) \|$", service.__doc__ or "", flags=re.MULTILINE)
    assert len(rows) == 6
    return sorted(int(size) for size, roles in rows if role in roles.split(", "))


@pytest.mark.parametrize("role", ["all", "api", "compiler"])
async def test_open_service_opens_the_documented_pools(
    role: Role, database_url: str, tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    create_pool = asyncpg.create_pool

    def counted(*arguments: Any, max_size: int, **options: Any) -> Any:
        sizes.append(max_size)
        return create_pool(*arguments, max_size=max_size, **options)

    async def listening() -> int:
        return int(
            await pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE application_name = 'faas listener' AND datname = current_database()"
            )
        )

    monkeypatch.setattr(asyncpg, "create_pool", counted)
    settings = Settings(database_url=database_url, data_dir=tmp_path, role=role, languages=("wat", "wasm"))
    async with open_service(settings):
        assert sorted(sizes) == documented_pool_sizes(role)
        await eventually(listening)
        assert await listening() == 1


async def test_requests_do_not_wait_for_a_run_of_retention(
    pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faas.retention.task._PAUSE_FACTOR", 1e6)  # the run stays in its first pause
    monkeypatch.setattr("faas.database.pool.ACQUIRE_TIMEOUT_SECONDS", 1.0)
    await insert_executions(pool, await insert_function(pool, "f"), [timedelta(days=900)])
    async with open_service(msgspec.structs.replace(settings, database_pool=1)) as opened:
        await eventually(lambda: ids_left(pool), lambda left: not left)
        transport = httpx.ASGITransport(opened.application)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/functions")).status_code == 200


async def test_run_in_background_logs_a_crash_and_closes() -> None:
    async def crash() -> None:
        raise ValueError("broken")

    with structlog.testing.capture_logs() as logs:
        async with AsyncExitStack() as stack:
            await run_in_background(stack, crash(), "crashing")
            await asyncio.sleep(0.01)
    assert [(line["event"], line["task"]) for line in logs] == [("background_task.crashed", "crashing")]


async def test_run_in_background_cancels_at_the_end() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with structlog.testing.capture_logs() as logs:
        async with AsyncExitStack() as stack:
            await run_in_background(stack, work(), "endless")
            await started.wait()
    assert cancelled.is_set()
    assert logs == []

"""Contention between compilations and executions: neither starves the other."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.helpers.server import EVERY_LANGUAGE, client_of, serving
from tests.helpers.support import ECHO_TS, LOOP_WAT, Platform, core_wat, eventually

pytestmark = pytest.mark.alone

FLOOD = 8  # clients that register one function after the other
CALLS = 60
BUSY = 32  # executions that never end by themselves
NEW = [
    ("wat", core_wat(extra="(global i32 (i32.const 7))")),
    ("assemblyscript", "export function handle(input: string): string { return '7'; }"),
]


async def many(work: Callable[[int], Awaitable[None]], clients: int, stop: asyncio.Event) -> None:
    """Run `work(number)` repeatedly in so many concurrent clients until `stop` is set."""

    async def one(client: int) -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            await work(client * 1_000_000 + turn)

    await asyncio.gather(*(one(client) for client in range(clients)))


async def latencies(platform: Platform) -> list[float]:
    """Return the sorted durations in seconds of sequential executions."""
    found = []
    for number in range(CALLS):
        began = time.perf_counter()
        assert (await platform.execute("echo", {"n": number}))["output"] == {"n": number}
        found.append(time.perf_counter() - began)
    return sorted(found)


async def test_flood_of_compilations_does_not_starve_executions(database_url: str) -> None:
    """Executions take longer while compilations run, but do not wait for the queue."""
    settings = ("--database-url", database_url, *EVERY_LANGUAGE)
    async with serving(*settings) as server, client_of(server, database_url) as platform:
        await platform.deploy("echo", core_wat())
        await platform.deploy("warm", ECHO_TS, "assemblyscript")
        undisturbed = await latencies(platform)
        stop = asyncio.Event()

        async def register(number: int) -> None:
            source = f"export function handle(input: string): string {{ return '{number}'; }}"
            await platform.register(f"f{number}", source, "assemblyscript")
            await asyncio.sleep(0.02)

        async def backlog() -> int:
            return int(await platform.pool.fetchval("SELECT count(*) FROM pgmq.q_compilation_jobs"))

        flood = asyncio.create_task(many(register, FLOOD, stop))
        await eventually(backlog, lambda count: count > 50)
        disturbed = await latencies(platform)
        assert await backlog() > 20  # the flood lasted until here
        stop.set()
        await flood
        shown = f"{undisturbed[CALLS // 2] * 1000:.1f} ms, then {disturbed[CALLS // 2] * 1000:.1f} ms; {disturbed[-1]:.2f} s at most"
        print("calls:", shown)
        assert statistics.median(disturbed) < 20 * statistics.median(undisturbed) + 0.1, shown
        assert disturbed[-1] < 5, shown


async def test_saturating_executions_do_not_starve_compilations(database_url: str) -> None:
    """New functions become READY while the maximum number of guests runs endless loops."""
    settings = ("--database-url", database_url, "--time-limit", "10m", "--shutdown-grace", "1s", *EVERY_LANGUAGE)
    async with serving(*settings, "--max-in-flight", str(BUSY)) as server, client_of(server, database_url) as platform:
        await platform.deploy("loop", LOOP_WAT)
        await platform.deploy("warm", ECHO_TS, "assemblyscript")
        limits = httpx.Limits(max_connections=BUSY)
        async with httpx.AsyncClient(base_url=server.url, timeout=300, trust_env=False, limits=limits) as http:
            load = [asyncio.create_task(http.post("/functions/loop/execute", json={})) for _ in range(BUSY)]

            async def running() -> int:
                return int(await platform.pool.fetchval("SELECT count(*) FROM executions WHERE status = 'RUNNING'"))

            await eventually(running, lambda count: count == BUSY)
            assert (await platform.http.post("/functions/loop/execute", json={})).status_code == 429
            waits = []
            for number, (language, source) in enumerate(NEW):
                began = time.monotonic()
                await platform.register(f"new{number}", source, language)
                assert (await platform.settled(f"new{number}", timeout=90))["status"] == "READY"
                waits.append(time.monotonic() - began)
            assert await running() == BUSY
            shown = f"READY after {waits[0]:.2f} s (wat) and {waits[1]:.2f} s (assemblyscript)"
            print(shown)
            assert max(waits) < 30, shown
            await server.stop()
            await asyncio.gather(*load, return_exceptions=True)

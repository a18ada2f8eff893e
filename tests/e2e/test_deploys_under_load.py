"""Deploys of a function that is being called: no call is refused, fails, or runs an older revision than it should.

`--deploys 200 --calls-per-second 500` runs the full size: 200 deploys, of which every tenth does not compile. A machine
that answers fewer calls gets fewer.
"""

import asyncio
import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from statistics import quantiles

import pytest

from tests.helpers.revisions import assert_history, assert_revision_invariants, record_history
from tests.helpers.server import Server, client_of, serving, start_server
from tests.helpers.steady_calls import Call, Deploy, SteadyCalls, assert_no_outage
from tests.helpers.support import Platform, returning_wat

pytestmark = pytest.mark.alone

BROKEN_EVERY = 10  # deploys


def source(number: int) -> str:
    """Return the source of revision `number`, which returns that number; every tenth does not compile."""
    return f"(module (broken {number}))" if number % BROKEN_EVERY == 0 else returning_wat(str(number))


async def deploy(platform: Platform, number: int) -> Deploy:
    """Deploy revision `number`, wait for its end as `faas deploy` does, and return what was live then."""
    answer = await platform.put("f", source(number))
    assert answer["latest"]["revision"] == number
    function = await platform.latest_settled("f", timeout=60)
    broken = number % BROKEN_EVERY == 0
    assert function["latest"]["status"] == ("FAILED" if broken else "READY"), function["latest"]
    assert (function["status"], function["revision"]) == ("READY", number - 1 if broken else number)
    return Deploy(time.monotonic(), function["revision"])


def report(title: str, calls: Sequence[Call], deploys: Sequence[Deploy], seconds: float) -> None:
    milliseconds = sorted((call.ended - call.began) * 1000 for call in calls if not call.failure)
    p50, p99 = quantiles(milliseconds, n=100)[49], quantiles(milliseconds, n=100)[98]
    print(
        f"{title}: {len(deploys)} deploys and {len(calls)} calls in {seconds:.0f} s, "
        f"{len(calls) / seconds:.0f}/s, median {p50:.1f} ms, p99 {p99:.1f} ms, at most {milliseconds[-1]:.0f} ms"
    )


@pytest.fixture
def count(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("deploys"))


@pytest.fixture
def rate(request: pytest.FixtureRequest) -> float:
    return float(request.config.getoption("calls_per_second"))


async def test_deploys_under_load_are_no_outage(database_url: str, count: int, rate: float) -> None:
    async with (
        serving("--database-url", database_url) as server,
        client_of(server, database_url) as platform,
    ):
        await platform.deploy("f", source(1))
        await record_history(platform.pool)
        load = SteadyCalls([server.url], "f", rate)
        began = time.monotonic()
        async with load.running():
            await asyncio.sleep(1)
            deploys = [Deploy(time.monotonic(), 1)]
            deploys += [await deploy(platform, number) for number in range(2, count + 2)]
            await asyncio.sleep(0.5)
        report("one server", load.calls, deploys[1:], time.monotonic() - began)
        assert_no_outage(load.calls, deploys, outputs(count))
        await check_rows(platform, load.calls)


async def test_deploys_under_load_survive_the_death_of_one_of_two_servers(
    database_url: str, count: int, rate: float
) -> None:
    async with AsyncExitStack() as stack:
        living = await stack.enter_async_context(serving("--database-url", database_url))
        platform = await stack.enter_async_context(client_of(living, database_url))
        killed = await start_server("--database-url", database_url)
        stack.push_async_callback(end, killed)
        await platform.deploy("f", source(1))
        await record_history(platform.pool)
        load = SteadyCalls([living.url, killed.url], "f", rate)
        began = time.monotonic()
        async with load.running():
            await asyncio.sleep(1)
            deploys = [Deploy(time.monotonic(), 1)]
            for number in range(2, count + 2):
                if number == count // 2:
                    killed.process.send_signal(signal.SIGKILL)
                deploys.append(await deploy(platform, number))
            await asyncio.sleep(0.5)
        report("two servers, one killed", load.calls, deploys[1:], time.monotonic() - began)
        assert_no_outage(load.calls, deploys, outputs(count), killed=killed.url)
        assert {call.url for call in load.calls if not call.failure} == {living.url, killed.url}
        await check_rows(platform, load.calls)


async def end(server: Server) -> None:
    await server.stop(signal.SIGKILL)


def outputs(count: int) -> dict[int, object]:
    return {number: number for number in range(1, count + 2)}


async def check_rows(platform: Platform, calls: Sequence[Call]) -> None:
    """Assert that the rows say what the answers said: as many of each revision, all of them COMPLETED."""
    rows = await platform.pool.fetch(
        "SELECT revision, output::text::int AS output, count(*) FROM executions WHERE status = 'COMPLETED' GROUP BY 1, 2"
    )
    assert all(row["revision"] == row["output"] for row in rows)
    answered = [call.revision for call in calls if not call.failure]
    assert all(row["count"] >= answered.count(row["revision"]) for row in rows)
    assert set(answered) <= {row["revision"] for row in rows}
    await assert_revision_invariants(platform.pool)
    await assert_history(platform.pool)

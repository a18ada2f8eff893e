"""Kills a server between each two steps of a deploy, a promotion and a rollback of a function that serves.

The first revision of a function and its executions are in test_killed_between_steps.py.

| killed between | test, stop |
|---|---|
| PUT and the number of the revision | deploying, `before the number` |
| the number and the revision | deploying, `number, no revision` |
| the revision and its job | deploying, `revision, no job` |
| the job and the commit | deploying, `revision and job, no commit` |
| the commit and the 200 | deploying, `committed, not acknowledged` |
| the result and the module | compiling, `result read, no module` |
| the module and READY | compiling, `module stored, not READY` |
| READY and live | compiling, `READY, not live` |
| live and the archiving of the result | compiling, `live, not archived` |
| the archiving and the commit | compiling, `archived, no commit` |
| the commit and the next step | compiling, `applied and archived` |
| a failed result and FAILED | failing, `failure read, not FAILED` |
| FAILED and the archiving | failing, `FAILED, not archived` |
| the decision and the cancelled promotions | deciding, `before the decision` |
| the cancelled promotions and live | deciding, `promotions cancelled, not live` |
| live and the commit | deciding, `live, no commit` |
| the commit and the 200 | deciding, `decided, not answered` |
"""

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest

from faas.database.pool import Pool
from tests.helpers.breakpoints import Hold, Stop, results_held
from tests.helpers.invariants import assert_invariants, record_ends
from tests.helpers.revisions import assert_history, assert_revision_invariants, record_history
from tests.helpers.server import client_of, serving, start_server
from tests.helpers.support import Platform, eventually, returning_wat

pytestmark = pytest.mark.slow

JOBS, RESULTS_DONE = "pgmq.q_compilation_jobs", "pgmq.a_compilation_results"
LATEST_STATUS = "SELECT status FROM revisions ORDER BY number DESC LIMIT 1"
SUCCESS, FAILURE = "(NEW.message ->> 'success')::bool", "NOT (NEW.message ->> 'success')::bool"
MADE_LIVE = "NEW.live_revision IS DISTINCT FROM OLD.live_revision"

DEPLOYING = [
    Stop("before the number", "functions", "UPDATE", "NEW.newest_revision > OLD.newest_revision"),
    Stop("number, no revision", "revisions", "INSERT"),
    Stop("revision, no job", JOBS, "INSERT"),
    Stop("revision and job, no commit", JOBS, "INSERT", at_commit=True),
    Stop("committed, not acknowledged", JOBS, "INSERT", committed=True),
]
COMPILING = [
    Stop("result read, no module", "modules", "INSERT"),
    Stop("module stored, not READY", "revisions", "UPDATE", "NEW.status = 'READY'"),
    Stop("READY, not live", "functions", "UPDATE", MADE_LIVE),
    Stop("live, not archived", RESULTS_DONE, "INSERT", SUCCESS),
    Stop("archived, no commit", RESULTS_DONE, "INSERT", SUCCESS, at_commit=True),
    Stop("applied and archived", RESULTS_DONE, "INSERT", SUCCESS, committed=True),
]
FAILING = [
    Stop("failure read, not FAILED", "revisions", "UPDATE", "NEW.status = 'FAILED'"),
    Stop("FAILED, not archived", RESULTS_DONE, "INSERT", FAILURE),
]
DECIDING = [
    Stop("before the decision", "revisions", "UPDATE", "OLD.promote AND NOT NEW.promote"),
    Stop("promotions cancelled, not live", "functions", "UPDATE", MADE_LIVE),
    Stop("live, no commit", "functions", "UPDATE", MADE_LIVE, at_commit=True),
    Stop("decided, not answered", "functions", "UPDATE", MADE_LIVE, committed=True),
]


def settings(database_url: str) -> tuple[str, ...]:
    return ("--database-url", database_url, "--visibility-timeout", "2s", "--poll-interval", "500ms")


def source(number: int) -> str:
    return returning_wat(str(number))


async def prepare(platform: Platform, *, revisions: int = 1) -> str:
    """Deploy `f` with `revisions` READY revisions, each returning its number, and return its id."""
    function = await platform.deploy("f", source(1))
    for number in range(2, revisions + 1):
        await platform.put("f", source(number))
        assert (await platform.latest_settled("f"))["revision"] == number
    await record_ends(platform.pool)
    await record_history(platform.pool)
    return str(function["id"])


async def state(pool: Pool) -> tuple[int | None, list[int], list[tuple[int, str, bool]]]:
    """Return the live revision, the history, and the number, status and promotion of each revision."""
    row = await pool.fetchrow("SELECT live_revision, previous_revisions FROM functions")
    assert row
    found = await pool.fetch("SELECT number, status, promote FROM revisions ORDER BY number")
    return row["live_revision"], row["previous_revisions"], [tuple(each) for each in found]


async def settle(database_url: str, function_id: str, expected: int) -> None:
    """Start another server; assert that it completes all work and that calls then run the revision `expected`."""
    async with serving(*settings(database_url)) as living, client_of(living, database_url) as platform:
        await assert_invariants(platform.pool, functions=[function_id])
        await assert_revision_invariants(platform.pool)
        await assert_history(platform.pool)
        execution = await platform.execute("f")
        assert (execution["output"], execution["revision"]) == (expected, expected)


@pytest.mark.parametrize("stop", DEPLOYING, ids=lambda stop: stop.name)
async def test_kill_while_a_revision_is_deployed(database_url: str, stop: Stop) -> None:
    """Either the revision and its job exist, or neither; the live revision serves before and after."""
    killed = await start_server(*settings(database_url))
    async with client_of(killed, database_url) as platform, platform.pool.acquire() as connection:
        function_id = await prepare(platform)
        hold = Hold(connection, stop)
        await hold.set()
        deploying = asyncio.create_task(platform.put("f", source(2)))
        await hold.reached()
        assert (await platform.execute("f"))["output"] == 1  # a deploy that is not committed delays no call
        await hold.kill(killed)
        await lost(deploying)
        live, previous, revisions = await state(platform.pool)
        jobs = await platform.pool.fetchval(f"SELECT count(*) FROM {JOBS}")
        assert (live, previous) == (1, [])
        assert revisions == [(1, "READY", True)] + [(2, "PENDING", True)] * stop.committed
        assert jobs == int(stop.committed)
    await settle(database_url, function_id, expected=2 if stop.committed else 1)


@pytest.mark.parametrize("stop", COMPILING, ids=lambda stop: stop.name)
async def test_kill_while_the_result_of_a_revision_is_applied(database_url: str, stop: Stop) -> None:
    """Applied, live and archived are one step; until then the earlier revision serves."""
    killed = await start_server(*settings(database_url))
    async with client_of(killed, database_url) as platform, platform.pool.acquire() as connection:
        function_id = await prepare(platform)
        hold = Hold(connection, stop)
        await hold.set()
        async with results_held(platform.pool):
            await platform.put("f", source(2))
            await eventually(partial(platform.pool.fetchval, LATEST_STATUS), "COMPILING".__eq__)
        await hold.reached()
        assert (await platform.execute("f"))["output"] == 1
        await hold.kill(killed)
        live, previous, revisions = await state(platform.pool)
        if stop.committed:
            assert (live, previous, revisions[1]) == (2, [1], (2, "READY", True))
        else:
            assert (live, previous, revisions[1][1]) == (1, [], "COMPILING")
            assert await platform.pool.fetchval("SELECT count(*) FROM modules") == 1
    await settle(database_url, function_id, expected=2)


@pytest.mark.parametrize("stop", FAILING, ids=lambda stop: stop.name)
async def test_kill_while_the_failure_of_a_revision_is_applied(database_url: str, stop: Stop) -> None:
    """The live revision serves on, and the newest one ends FAILED."""
    killed = await start_server(*settings(database_url))
    async with client_of(killed, database_url) as platform, platform.pool.acquire() as connection:
        function_id = await prepare(platform)
        hold = Hold(connection, stop)
        await hold.set()
        await platform.put("f", "(module")
        await hold.reached()
        await hold.kill(killed)
        assert (await state(platform.pool))[0] == 1
    async with serving(*settings(database_url)) as living, client_of(living, database_url) as platform:
        function = await platform.latest_settled("f", timeout=60)
        assert (function["status"], function["revision"], function["latest"]["status"]) == ("READY", 1, "FAILED")
    await settle(database_url, function_id, expected=1)


@pytest.mark.parametrize("decision", ["promote", "rollback"])
@pytest.mark.parametrize("stop", DECIDING, ids=lambda stop: stop.name)
async def test_kill_while_a_revision_is_promoted_or_rolled_back(database_url: str, stop: Stop, decision: str) -> None:
    """Either the decision and the cancelled promotions are in effect, or neither."""
    killed = await start_server(*settings(database_url))
    async with client_of(killed, database_url) as platform, platform.pool.acquire() as connection:
        function_id = await prepare(platform, revisions=2)
        await wait_for_a_result(platform.pool, function_id)
        hold = Hold(connection, stop)
        await hold.set()
        body = {"revision": 1} if decision == "promote" else {}
        deciding = asyncio.create_task(platform.http.post(f"/functions/f/{decision}", json=body))
        await hold.reached()
        assert (await platform.execute("f"))["output"] == 2
        await hold.kill(killed)
        await lost(deciding)
        decided = stop.committed
        history = ([1, 2] if decision == "promote" else []) if decided else [1]
        assert await state(platform.pool) == (
            1 if decided else 2,
            history,
            [(1, "READY", True), (2, "READY", True), (3, "PENDING", not decided)],
        )
    async with serving(*settings(database_url)) as living, client_of(living, database_url) as platform:
        # The result that was waited for comes at last: it makes its revision live unless the decision was made.
        await platform.pool.execute(
            "SELECT pgmq.send('compilation_results', jsonb_build_object('functionId', $1::text, 'revision', 3, "
            "'success', true, 'wasmBinary', encode((SELECT wasm FROM modules LIMIT 1), 'base64')))",
            function_id,
        )
        await platform.latest_settled("f")
        live, previous, _ = await state(platform.pool)
        assert (live, previous) == ((1, history) if decided else (3, [1, 2]))
        await assert_revision_invariants(platform.pool)
        await assert_history(platform.pool)


async def wait_for_a_result(pool: Pool, function_id: str) -> None:
    """Add a revision whose compiler has taken the job and does not answer."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("UPDATE functions SET newest_revision = 3")
        await connection.execute(
            "INSERT INTO revisions (function_id, number, language, source) VALUES ($1::uuid, 3, 'wat', 'x')",
            function_id,
        )


async def lost(request: "asyncio.Task[Any]") -> None:
    """Assert that the client got no answer."""
    answers = await asyncio.gather(request, return_exceptions=True)
    assert isinstance(answers[0], httpx.TransportError), answers

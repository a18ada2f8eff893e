"""Kills a server between each two steps of flows 1, 3 and 6; another server completes the work.

| killed between | test, stop |
|---|---|
| Flow 1: request and the function's row | registering, `before the row` |
| the row and its revision | registering, `row, no revision` |
| the revision and its job | registering, `revision, no job` |
| the job and the commit | registering, `revision and job, no commit` |
| the commit and the 201 | registering, `committed, not acknowledged` |
| the 201 and the compiler's read | compiling, `acknowledged, not read` |
| the read and `started` | compiling, `read, not begun` |
| `started` and COMPILING | compiling, `begun, not COMPILING` |
| the compiler's begin and its end | test_kill_while_the_compiler_runs |
| the compiler's end and the archiving of the job | compiling, `compiled, job not archived` |
| the archiving and the result | compiling, `job archived, no result` |
| the result and the commit | compiling, `result sent, no commit` |
| the commit and the read of the result (Flow 6) | compiling, `result committed, not read` |
| Flow 6: the read and the module | compiling, `result read, no module` |
| the module and READY | compiling, `module stored, not READY` |
| READY and live | compiling, `READY, not live` |
| live and the archiving | compiling, `live, not archived` |
| the archiving and the commit | compiling, `archived, no commit` |
| the commit and the next step | compiling, `applied and archived` |
| Flow 3: request and RUNNING | executing, `before RUNNING` |
| RUNNING and its commit | executing, `RUNNING, no commit` |
| RUNNING and the read of the module | executing, `RUNNING, no module` |
| the read of the module and the call | executing, `module read, not called` |
| the call and the guest's end | executing, `called` |
| the guest's end and the UPDATE | executing, `ended, not recorded` |
| the UPDATE and its commit | executing, `recorded, no commit` |
| the outcome's commit and the 200 | executing, `recorded, not answered` |
"""

import asyncio
import signal
from functools import partial

import httpx
import pytest

from tests.helpers.breakpoints import Hold, Stop
from tests.helpers.invariants import assert_invariants, record_ends
from tests.helpers.server import EVERY_LANGUAGE, client_of, freeze_compilers, serving, start_server
from tests.helpers.support import ECHO_TS, LOOP_WAT, Platform, core_wat, eventually

pytestmark = pytest.mark.slow

SUCCESS = "NEW.message ? 'success'"
JOBS, RESULTS = "pgmq.q_compilation_jobs", "pgmq.q_compilation_results"
JOBS_DONE, RESULTS_DONE = "pgmq.a_compilation_jobs", "pgmq.a_compilation_results"

REGISTERING = [
    Stop("before the row", "functions", "INSERT"),
    Stop("row, no revision", "revisions", "INSERT"),
    Stop("revision, no job", JOBS, "INSERT"),
    Stop("revision and job, no commit", JOBS, "INSERT", at_commit=True),
    Stop("committed, not acknowledged", JOBS, "INSERT", committed=True),
]
COMPILING = [
    Stop("acknowledged, not read", JOBS, "UPDATE", "NEW.read_ct > OLD.read_ct"),
    Stop("read, not begun", RESULTS, "INSERT", "NEW.message ->> 'kind' = 'started'"),
    Stop("begun, not COMPILING", "revisions", "UPDATE", "NEW.status = 'COMPILING'"),
    Stop("compiled, job not archived", JOBS_DONE, "INSERT"),
    Stop("job archived, no result", RESULTS, "INSERT", SUCCESS),
    Stop("result sent, no commit", RESULTS, "INSERT", SUCCESS, at_commit=True),
    Stop("result committed, not read", RESULTS, "INSERT", SUCCESS, committed=True),
    Stop("result read, no module", "modules", "INSERT"),
    Stop("module stored, not READY", "revisions", "UPDATE", "NEW.status = 'READY'"),
    Stop("READY, not live", "functions", "UPDATE", "NEW.live_revision IS NOT NULL"),
    Stop("live, not archived", RESULTS_DONE, "INSERT", SUCCESS),
    Stop("archived, no commit", RESULTS_DONE, "INSERT", SUCCESS, at_commit=True),
    Stop("applied and archived", RESULTS_DONE, "INSERT", SUCCESS, committed=True),
]
EXECUTING = [
    Stop("before RUNNING", "executions", "INSERT"),
    Stop("RUNNING, no commit", "executions", "INSERT", at_commit=True),
    Stop("RUNNING, no module", "executions", "INSERT", committed=True),
    Stop("ended, not recorded", "executions", "UPDATE"),
    Stop("recorded, no commit", "executions", "UPDATE", at_commit=True),
    Stop("recorded, not answered", "executions", "UPDATE", committed=True),
]
_FUNCTIONS = """
SELECT name, live_revision, newest_revision, status, compile_error
FROM functions JOIN revisions ON function_id = id
"""
INTERRUPTED = ("FAILED", "interrupted")
ENDS = {
    "RUNNING, no module": INTERRUPTED,
    "module read, not called": INTERRUPTED,
    "called": INTERRUPTED,
    "ended, not recorded": INTERRUPTED,
    "recorded, no commit": INTERRUPTED,
    "recorded, not answered": ("COMPLETED", None),
}  # the first two stops leave no record


def settings(database_url: str) -> tuple[str, ...]:
    return ("--database-url", database_url, "--visibility-timeout", "2s", "--poll-interval", "500ms")


async def settle(database_url: str, acknowledged: list[str], expected: int, *options: str) -> None:
    """Start another server, and assert that it completes all work and can execute the function."""
    async with serving(*settings(database_url), *options) as living, client_of(living, database_url) as platform:
        await assert_invariants(platform.pool, functions=acknowledged)
        rows = await platform.pool.fetch(_FUNCTIONS)
        assert [tuple(row) for row in rows] == [("echo", 1, 1, "READY", None)] * expected
        if expected:
            assert (await platform.execute("echo", {"a": 1}))["output"] == {"a": 1}


@pytest.mark.parametrize("stop", REGISTERING, ids=lambda stop: stop.name)
async def test_kill_while_a_function_is_created(database_url: str, stop: Stop) -> None:
    """Either the function, its revision and its job exist, or none of them, and the client has no answer."""
    killed = await start_server(*settings(database_url))
    async with client_of(killed, database_url) as platform, platform.pool.acquire() as connection:
        await record_ends(platform.pool)
        hold = Hold(connection, stop)
        await hold.set()
        body = {"name": "echo", "language": "wat", "source": core_wat()}
        registering = asyncio.create_task(platform.http.post("/functions", json=body))
        await hold.reached()
        await hold.kill(killed)
        (answer,) = await asyncio.gather(registering, return_exceptions=True)
        assert isinstance(answer, httpx.TransportError)
    await settle(database_url, [], expected=1 if stop.committed else 0)


@pytest.mark.parametrize("stop", COMPILING, ids=lambda stop: stop.name)
async def test_kill_while_a_function_is_compiled(database_url: str, stop: Stop) -> None:
    """An acknowledged function becomes READY after any kill, and is compiled and applied once."""
    killed = await start_server(*settings(database_url))
    async with client_of(killed, database_url) as platform, platform.pool.acquire() as connection:
        await record_ends(platform.pool)
        hold = Hold(connection, stop)
        await hold.set()
        function = await platform.register("echo", core_wat())
        await hold.reached()
        await hold.kill(killed)
        live = await platform.pool.fetchval("SELECT live_revision FROM functions")
        assert (live == 1) == (stop.name == "applied and archived")
    await settle(database_url, [function["id"]], expected=1)


async def test_kill_while_the_compiler_runs(database_url: str) -> None:
    """The compiler is stopped during a compilation; the job is redelivered."""
    killed = await start_server(*settings(database_url), *EVERY_LANGUAGE)
    async with client_of(killed, database_url) as platform:
        await record_ends(platform.pool)
        await freeze_compilers(killed, "worker.mjs")
        function = await platform.register("echo", ECHO_TS, "assemblyscript")

        async def status() -> str:
            return str(await platform.pool.fetchval("SELECT status FROM revisions"))

        await eventually(status, lambda found: found == "COMPILING")
        killed.process.send_signal(signal.SIGKILL)
        await killed.process.wait()
    await settle(database_url, [function["id"]], 1, *EVERY_LANGUAGE)


async def test_kill_while_a_function_is_executed(database_url: str) -> None:
    """Servers are killed one after the other at different steps; another one reaps their executions within 30 s."""
    async with serving(*settings(database_url)) as server, client_of(server, database_url) as platform:
        await record_ends(platform.pool)
        functions = [(await platform.deploy("echo", core_wat()))["id"], (await platform.deploy("loop", LOOP_WAT))["id"]]

    for stop in EXECUTING:
        killed = await start_server(*settings(database_url))
        async with client_of(killed, database_url) as platform, platform.pool.acquire() as connection:
            hold = Hold(connection, stop)
            await hold.set()
            executing = asyncio.create_task(platform.execute("echo", {"stop": stop.name}))
            await hold.reached()
            await hold.kill(killed)
            await lost(executing)
    for name, function in (("module read, not called", "echo"), ("called", "loop")):
        killed = await start_server(*settings(database_url))
        async with client_of(killed, database_url) as platform:
            if function == "echo":
                await freeze_compilers(killed, "precompile/worker.py")  # the execution waits for the native code
            executing = asyncio.create_task(platform.execute(function, {"stop": name}))
            await eventually(partial(begun, platform, name))
            killed.process.send_signal(signal.SIGKILL)
            await killed.process.wait()
            await lost(executing)

    async with serving(*settings(database_url)) as living, client_of(living, database_url) as platform:
        await assert_invariants(platform.pool, functions=functions, timeout=30)
        rows = await platform.pool.fetch("SELECT input ->> 'stop' AS stop, status, error_message FROM executions")
        assert {row["stop"]: (row["status"], row["error_message"]) for row in rows} == ENDS
        assert (await platform.execute("echo"))["status"] == "COMPLETED"


async def lost(executing: "asyncio.Task[dict[str, object]]") -> None:
    """Assert that the client got no answer."""
    (answer,) = await asyncio.gather(executing, return_exceptions=True)
    assert isinstance(answer, httpx.TransportError)


async def begun(platform: Platform, name: str) -> bool:
    return bool(await platform.pool.fetchval("SELECT count(*) FROM executions WHERE input ->> 'stop' = $1", name))

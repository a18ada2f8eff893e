"""Servers that are killed: what they leave is closed or taken over by another, and nothing is lost or done twice."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.e2e.server import alive, client_of, processes_of, serving, start_server
from tests.support import ECHO_TS, LOOP_WAT, Platform, core_wat, eventually


async def test_of_two_servers_one_is_killed_and_the_other_goes_on(database_url: str) -> None:
    """The dead one's executions close as interrupted within 30 s; the living one's run to their end."""
    settings = ("--database-url", database_url, "--time-limit", "25s", "--shutdown-grace", "1s")
    killed = await start_server(*settings)
    async with (
        serving(*settings) as living,
        client_of(killed, database_url) as dead_end,
        client_of(living, database_url) as platform,
    ):
        await platform.deploy("long", LOOP_WAT)  # it runs to its limit, long after the other is noticed
        theirs = asyncio.create_task(dead_end.http.post("/functions/long/execute", json={}))
        ours = asyncio.create_task(platform.http.post("/functions/long/execute", json={}, timeout=60))

        async def running() -> int:
            return int(await platform.pool.fetchval("SELECT count(*) FROM executions WHERE status = 'RUNNING'"))

        await eventually(running, lambda count: count == 2)
        children = processes_of(killed.process.pid)
        killed.process.send_signal(signal.SIGKILL)
        await killed.process.wait()
        await asyncio.gather(theirs, return_exceptions=True)

        async def left_behind() -> list[int]:
            return [pid for pid in children if alive(pid)]

        assert await eventually(left_behind, lambda pids: not pids, timeout=5) == []

        async def interrupted() -> list[str]:
            rows = await platform.pool.fetch("SELECT error_message FROM executions WHERE status = 'FAILED'")
            return [row["error_message"] for row in rows]

        assert await eventually(interrupted, timeout=30) == ["interrupted"]
        assert await running() == 1  # ours, of the living server, still
        assert (await ours).json()["errorMessage"] == "time limit of 25s exceeded"


async def test_a_job_whose_compiler_was_killed_is_compiled_by_another(database_url: str) -> None:
    """Killed between `started` and the result: the job comes back, the function becomes READY, once."""
    settings = ("--database-url", database_url, "--visibility-timeout", "3s", "--poll-interval", "1s")
    killed = await start_server(*settings)
    async with client_of(killed, database_url) as platform:  # noqa: SIM117 - the lock goes first
        async with platform.pool.acquire() as connection, connection.transaction():
            # The compiler's last transaction archives the job: it waits for this lock.
            await connection.execute("LOCK TABLE pgmq.a_compilation_jobs IN EXCLUSIVE MODE")
            await platform.register("echo", ECHO_TS, "assemblyscript")

            await waiting_statement(platform, "archive")
            killed.process.send_signal(signal.SIGKILL)
            await killed.process.wait()
    async with serving(*settings) as living, client_of(living, database_url) as platform:
        function = await platform.settled("echo", timeout=30)
        assert (function["status"], function["revision"]) == ("READY", 1)
        assert (await platform.execute("echo", {"a": 1}))["output"] == {"a": 1}

        async def queued() -> int:
            return int(
                await platform.pool.fetchval(
                    "SELECT (SELECT count(*) FROM pgmq.q_compilation_jobs) "
                    "+ (SELECT count(*) FROM pgmq.q_compilation_results)"
                )
            )

        await eventually(queued, lambda count: count == 0)
        results = await platform.pool.fetchval(
            "SELECT count(*) FROM pgmq.a_compilation_results WHERE message ? 'success'"
        )
        assert results == 1


async def waiting_statement(platform: Platform, fragment: str) -> None:
    """Until a statement with this fragment waits for a lock that the test holds."""

    async def blocked() -> bool:
        return bool(
            await platform.pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock' AND query LIKE $1",
                f"%{fragment}%",
            )
        )

    await eventually(blocked)


@pytest.mark.parametrize("fragment", ["INSERT INTO executions", "UPDATE executions"])
async def test_an_execution_whose_server_was_killed_ends_somehow(database_url: str, fragment: str) -> None:
    """Flow 3, killed before RUNNING is committed, and between the guest's end and its outcome."""
    settings = ("--database-url", database_url)
    killed = await start_server(*settings)
    async with client_of(killed, database_url) as platform:
        await platform.deploy("echo", core_wat())
        if fragment.startswith("UPDATE"):
            # The insert passes, the update does not: a row lock on every execution, taken as soon as there is one.
            await platform.pool.execute(
                "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NEW; END $$"
            )
            await platform.pool.execute(
                "CREATE TRIGGER hold BEFORE UPDATE ON executions FOR EACH ROW EXECUTE FUNCTION hold()"
            )
        async with platform.pool.acquire() as connection, connection.transaction():
            if fragment.startswith("UPDATE"):
                await connection.execute("SELECT pg_advisory_xact_lock(7)")
            else:
                await connection.execute("LOCK TABLE executions IN EXCLUSIVE MODE")
            executing = asyncio.create_task(platform.http.post("/functions/echo/execute", json={}))
            await waiting_statement(platform, fragment)
            killed.process.send_signal(signal.SIGKILL)
            await killed.process.wait()
            await asyncio.gather(executing, return_exceptions=True)
            # What the dead server had sent may still be waiting for our lock; it must not be carried out later.
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'faas' AND wait_event_type = 'Lock'"
            )
    async with serving(*settings) as living, client_of(living, database_url) as platform:

        async def rows() -> list[tuple[str, str | None]]:
            found = await platform.pool.fetch("SELECT status, error_message FROM executions")
            return [(row["status"], row["error_message"]) for row in found]

        expected = [("FAILED", "interrupted")] if fragment.startswith("UPDATE") else []
        assert await eventually(rows, lambda found: found == expected, timeout=30) == expected
        assert (await platform.execute("echo"))["status"] == "COMPLETED"


async def test_a_result_whose_server_was_killed_is_applied_by_another(database_url: str) -> None:
    """Flow 6, killed between the read and the update, and so before the archiving."""
    settings = ("--database-url", database_url, "--visibility-timeout", "3s", "--poll-interval", "1s")
    killed = await start_server(*settings)
    async with client_of(killed, database_url) as platform:
        await platform.register("echo", core_wat())
        async with platform.pool.acquire() as connection, connection.transaction():
            # Of Flow 6's transaction, archiving comes last: it waits, with the update done and not committed.
            await connection.execute("LOCK TABLE pgmq.a_compilation_results IN EXCLUSIVE MODE")
            await waiting_statement(platform, "pgmq.archive")
            killed.process.send_signal(signal.SIGKILL)
            await killed.process.wait()
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'faas' AND wait_event_type = 'Lock'"
            )
        assert await platform.pool.fetchval("SELECT status FROM functions") in {"PENDING", "COMPILING"}
    async with serving(*settings) as living, client_of(living, database_url) as platform:
        function = await platform.settled("echo", timeout=30)
        assert (function["status"], function["revision"]) == ("READY", 1)
        assert (await platform.execute("echo", {"a": 1}))["output"] == {"a": 1}


async def test_the_embedded_postgres_killed_under_load_comes_back(data_dir: Path) -> None:
    """The server starts it again; /health says so meanwhile, and what was acknowledged is there."""
    async with (
        serving("--data-dir", str(data_dir)) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http,
    ):
        platform = Platform(http, None)  # type: ignore[arg-type]
        await platform.deploy("echo", core_wat())
        acknowledged: list[str] = []
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                response = await http.post("/functions/echo/execute", json={"input": {"n": 1}})
                assert response.status_code in {200, 503}, "\n".join(server.lines[-3:])
                if response.status_code == 200:
                    acknowledged.append(response.json()["id"])

        loading = [asyncio.create_task(load()) for _ in range(4)]
        await eventually(lambda: asyncio.sleep(0, len(acknowledged)), lambda count: count > 20)
        pid = int((data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGKILL)
        before = len(acknowledged)
        await eventually(lambda: asyncio.sleep(0, len(acknowledged)), lambda count: count > before + 20, timeout=60)
        stop.set()
        await asyncio.gather(*loading)
        for execution_id in acknowledged:
            record = (await http.get(f"/executions/{execution_id}")).json()
            assert (record["status"], record["output"]) == ("COMPLETED", {"n": 1})

        async def running() -> list[object]:
            return list((await http.get("/functions/echo/executions?status=RUNNING")).json())

        await eventually(running, lambda found: not found, timeout=40)
        await platform.deploy("after", core_wat(extra="(global i32 (i32.const 1))"))


async def test_a_registration_that_was_not_acknowledged_is_whole_or_not_there(database_url: str) -> None:
    """Killed between the row and its job: neither is there."""
    killed = await start_server("--database-url", database_url, "--compiler", "false")
    async with client_of(killed, database_url) as platform:
        async with platform.pool.acquire() as connection, connection.transaction():
            await connection.execute("LOCK TABLE pgmq.q_compilation_jobs IN EXCLUSIVE MODE")
            body = {"name": "echo", "language": "wat", "source": core_wat()}
            registering = asyncio.create_task(platform.http.post("/functions", json=body))

            await waiting_statement(platform, "pgmq.send")
            killed.process.send_signal(signal.SIGKILL)
            await killed.process.wait()
            await asyncio.gather(registering, return_exceptions=True)

        async def counts() -> tuple[int, int]:
            return (
                await platform.pool.fetchval("SELECT count(*) FROM functions"),
                await platform.pool.fetchval("SELECT count(*) FROM pgmq.q_compilation_jobs"),
            )

        await eventually(counts, lambda found: found == (0, 0))


async def test_a_database_that_restarts_is_waited_for(database_url: str) -> None:
    """Every connection is cut at once, as by a restart: requests fail for a moment at most, and work goes on."""
    async with (
        serving("--database-url", database_url) as server,
        client_of(server, database_url) as platform,
    ):
        await platform.deploy("echo", core_wat())
        await platform.pool.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'faas%'"
        )

        async def works() -> bool:
            response = await platform.http.post("/functions/echo/execute", json={})
            return response.status_code == 200 and response.json()["status"] == "COMPLETED"

        await eventually(works)
        await platform.deploy("after", core_wat(extra="(global i32 (i32.const 1))"))

        async def healthy() -> bool:
            return bool((await platform.http.get("/health")).status_code == 200)

        await eventually(healthy)

        async def running() -> int:
            return int(await platform.pool.fetchval("SELECT count(*) FROM executions WHERE status = 'RUNNING'"))

        await eventually(running, lambda count: count == 0)

"""Kills of servers and databases: executions are reaped, jobs redelivered, and nothing is lost or applied twice.

The kills between two steps are in test_killed_between_steps.py, the restarts of Postgres in test_database_restart.py.
"""

import asyncio
import os
import signal
from pathlib import Path

import httpx

from tests.helpers.invariants import assert_invariants, record_ends
from tests.helpers.server import EVERY_LANGUAGE, alive, client_of, processes_of, serving, start_server
from tests.helpers.support import LOOP_WAT, Platform, core_wat, eventually

WORK_SECONDS = 12.0  # 8, and the time until all executions have started


WORKING = """export function handle(input: string): string {
  let sum: u32 = 1;
  while (performance.now() < %f) for (let i = 0; i < 1_000_000; i++) sum = sum * 1664525 + i;
  return sum == 0 ? "0" : input;
}"""


async def test_heartbeat_of_a_killed_server_stops_and_its_executions_are_reaped(database_url: str) -> None:
    """Executions of the killed server are interrupted within 30 s; those of its peer complete after 8 s of work."""
    settings = ("--database-url", database_url, "--time-limit", "5m", "--shutdown-grace", "1s", *EVERY_LANGUAGE)
    killed = await start_server(*settings)
    async with (
        serving(*settings) as living,
        client_of(killed, database_url) as dead_end,
        client_of(living, database_url) as platform,
    ):
        await record_ends(platform.pool)
        work = await platform.deploy("work", WORKING % (WORK_SECONDS * 1000), "assemblyscript")
        functions = [str(work["id"]), str((await platform.deploy("loop", LOOP_WAT))["id"])]
        theirs = [asyncio.create_task(dead_end.execute(name, {"on": "killed"})) for name in ("work", "loop")]
        ours = asyncio.create_task(
            platform.http.post("/functions/work/execute", json={"input": {"on": "living"}}, timeout=120)
        )
        endless = asyncio.create_task(platform.http.post("/functions/loop/execute", json={"input": {"on": "ever"}}))

        async def running() -> list[str]:
            rows = await platform.pool.fetch("SELECT input ->> 'on' AS server FROM executions WHERE status = 'RUNNING'")
            return sorted(row["server"] for row in rows)

        async def beat() -> int:
            """Return the heartbeat count of the living server, which runs the loop."""
            return int(
                await platform.pool.fetchval(
                    "SELECT beat FROM processes WHERE id = "
                    "(SELECT process_id FROM executions WHERE input ->> 'on' = 'ever')"
                )
            )

        await eventually(running, lambda found: found == ["ever", "killed", "killed", "living"])
        children = processes_of(killed.process.pid)
        killed.process.send_signal(signal.SIGKILL)
        await killed.process.wait()
        lost = await asyncio.gather(*theirs, return_exceptions=True)
        assert all(isinstance(answer, httpx.TransportError) for answer in lost)

        async def left_behind() -> list[int]:
            return [pid for pid in children if alive(pid)]

        assert await eventually(left_behind, lambda pids: not pids, timeout=5) == []

        async def closed() -> list[str]:
            rows = await platform.pool.fetch("SELECT error_message FROM executions WHERE input ->> 'on' = 'killed'")
            return [row["error_message"] for row in rows]

        async def wait_for_ours() -> tuple[int, dict[str, object]]:
            before = await beat()
            execution = (await ours).json()
            return await beat() - before, execution

        finished = asyncio.create_task(wait_for_ours())
        assert await eventually(closed, lambda found: None not in found, timeout=30) == ["interrupted"] * 2
        beats, execution = await asyncio.wait_for(finished, 120)
        assert (execution["status"], execution["output"]) == ("COMPLETED", {"on": "living"})
        assert isinstance(execution["durationMs"], float)
        assert execution["durationMs"] >= WORK_SECONDS * 1000
        assert beats >= 2, "the execution completed too soon after the kill"
        assert await running() == ["ever"]  # a longer execution of the living server is not reaped
        await living.stop()
        await asyncio.gather(endless, return_exceptions=True)
        await assert_invariants(platform.pool, functions=functions, executions=[str(execution["id"])])


async def test_embedded_postgres_is_restarted_after_a_kill_under_load(data_dir: Path) -> None:
    """The server restarts it, and every acknowledged execution is recorded."""
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

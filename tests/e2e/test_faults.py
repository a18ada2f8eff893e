"""Servers and databases that are killed: what they leave is closed or taken over, and nothing is lost or done twice.

The kills between two steps are in test_killed_between_steps.py, the restarts of Postgres in test_database_restart.py.
"""

import asyncio
import os
import signal
from pathlib import Path

import httpx

from tests.helpers.promises import assert_promises_are_kept, record_ends
from tests.helpers.server import EVERY_LANGUAGE, alive, client_of, processes_of, serving, start_server
from tests.helpers.support import LOOP_WAT, Platform, core_wat, eventually

WORK = 12.0  # seconds: 8, and what it takes to have all begun


WORKING = """export function handle(input: string): string {
  let sum: u32 = 1;
  while (performance.now() < %f) for (let i = 0; i < 1_000_000; i++) sum = sum * 1664525 + i;
  return sum == 0 ? "0" : input;
}"""


async def test_of_two_servers_one_is_killed_and_the_other_goes_on(database_url: str) -> None:
    """The dead one's executions close as interrupted within 30 s; the living one's run to their end: 8 s of work."""
    settings = ("--database-url", database_url, "--time-limit", "5m", "--shutdown-grace", "1s", *EVERY_LANGUAGE)
    killed = await start_server(*settings)
    async with (
        serving(*settings) as living,
        client_of(killed, database_url) as dead_end,
        client_of(living, database_url) as platform,
    ):
        await record_ends(platform.pool)
        work = await platform.deploy("work", WORKING % (WORK * 1000), "assemblyscript")
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
            """Of the living server: the one that runs the loop."""
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
        assert execution["durationMs"] >= WORK * 1000
        assert beats >= 2, "it ended before the other was dead for long"
        assert await running() == ["ever"]  # and what runs longer than all of that is still not taken for dead
        await living.stop()
        await asyncio.gather(endless, return_exceptions=True)
        await assert_promises_are_kept(platform.pool, functions=functions, executions=[str(execution["id"])])


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

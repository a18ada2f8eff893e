"""A restart of a Postgres that the service does not own: the service recovers without help."""

import asyncio
import time
from collections.abc import Mapping

import httpx

from tests.helpers.invariants import assert_invariants, record_ends
from tests.helpers.postgres import ordinary_postgres
from tests.helpers.server import EVERY_LANGUAGE, client_of, serving
from tests.helpers.support import LOOP_WAT, core_wat, eventually

PATIENCE = 15  # seconds in which every request is answered, with or without a database


async def health(http: httpx.AsyncClient) -> tuple[int, dict[str, object]]:
    response = await http.get("/health")
    return response.status_code, response.json()


class Load:
    """Creates functions and executes until it is stopped; records what was acknowledged, and all other answers."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.functions: list[str] = []
        self.executions: list[str] = []
        self.refusals = 0
        self.unexpected: list[str] = []
        self.slowest = 0.0
        self.stopping = False

    async def run(self, number: int) -> None:
        """Create or execute repeatedly."""
        turn = 0
        while not self.stopping:
            turn += 1
            await self._ask("/functions/echo/execute", {"input": {"n": turn}}, 200, self.executions)
            source = core_wat(extra=f"(global i64 (i64.const {number * 1_000_000 + turn}))")
            body = {"name": f"f-{number}-{turn}", "language": "wat", "source": source}
            await self._ask("/functions", body, 201, self.functions)
            await asyncio.sleep(0.05)

    async def _ask(self, path: str, body: Mapping[str, object], status: int, acknowledged: list[str]) -> None:
        began = time.monotonic()
        response = await self._http.post(path, json=body)
        self.slowest = max(self.slowest, time.monotonic() - began)
        if response.status_code == status:
            acknowledged.append(response.json()["id"])
        elif response.status_code == 503 and int(response.headers.get("retry-after", "0")) >= 1:
            self.refusals += 1
        else:
            self.unexpected.append(f"{response.status_code}: {response.text[:300]}")


async def test_database_restart_under_load() -> None:
    """503 with Retry-After and /health DOWN during it; afterwards all that was acknowledged is settled, once."""
    async with (
        ordinary_postgres() as postgres,
        serving(
            "--database-url", postgres.url, "--time-limit", "4s", "--visibility-timeout", "3s", *EVERY_LANGUAGE
        ) as server,
    ):
        async with client_of(server, postgres.url) as platform:
            await record_ends(platform.pool)
            functions = [
                (await platform.deploy("echo", core_wat()))["id"],
                (await platform.deploy("loop", LOOP_WAT))["id"],
            ]
        async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http:
            assert (await health(http))[0] == 200
            load = Load(http)
            loading = [asyncio.create_task(load.run(number)) for number in range(3)]
            looping = asyncio.create_task(http.post("/functions/loop/execute", json={}))
            await eventually(lambda: asyncio.sleep(0, len(load.executions)), lambda count: count >= 20)

            await postgres.stop()
            acknowledged = len(load.executions) + len(load.functions)

            status, said = await eventually(lambda: health(http), lambda found: found[0] == 503)
            assert (status, said["status"]) == (503, "DOWN")
            assert str(said["database"]).startswith("DOWN: ")
            consumers = {"compilation_jobs", "compilation_results", "listener"}

            async def parts() -> dict[str, str]:
                return dict((await health(http))[1]["consumers"])  # type: ignore[call-overload,no-any-return]

            down = await eventually(parts, lambda found: all(state.startswith("DOWN") for state in found.values()))
            assert set(down) == consumers
            toolchains = dict(said["toolchains"])  # type: ignore[call-overload]
            assert set(toolchains) == {"javascript", "typescript", "assemblyscript", "wat", "wasm"}
            assert set(toolchains.values()) <= {"UP", "WARMING"}
            # Every route that needs the database, and an execution whose guest ended during the outage.
            for method, path in (("GET", "/functions"), ("GET", "/functions/echo"), ("DELETE", "/functions/echo")):
                began = time.monotonic()
                response = await http.request(method, path)
                assert (response.status_code, response.headers["retry-after"]) == (503, "2")
                assert response.json()["type"] == "urn:faas:problem:database-unavailable"
                assert time.monotonic() - began < PATIENCE
            assert (await http.get("/metrics")).status_code == 200
            told = await looping
            assert (told.status_code, told.headers["retry-after"]) == (503, "2")
            assert (
                len(load.executions) + len(load.functions) == acknowledged
            )  # without a database nothing is acknowledged

            await postgres.start()
            await eventually(lambda: health(http), lambda found: found[0] == 200)
            await eventually(lambda: asyncio.sleep(0, len(load.executions)), lambda count: count >= 40, timeout=60)
            load.stopping = True
            await asyncio.gather(*loading)
            assert load.unexpected == []
            assert load.refusals > 0
            assert load.slowest < PATIENCE
        async with client_of(server, postgres.url) as platform:
            await assert_invariants(platform.pool, functions=[*functions, *load.functions], executions=load.executions)
            statuses = await platform.pool.fetch("SELECT DISTINCT status FROM revisions")
            assert [row["status"] for row in statuses] == ["READY"]
            completed = await platform.pool.fetchval(
                "SELECT count(*) FROM executions WHERE status = 'COMPLETED' AND id = ANY($1::uuid[])", load.executions
            )
            assert completed == len(load.executions)
            # The outcome of an execution that ended during the outage was recorded afterwards.
            (ended,) = (await platform.http.get("/functions/loop/executions")).json()
            assert ended["errorMessage"] == "time limit of 4s exceeded"
        assert sum("serves http" in line for line in server.lines) == 1


async def test_database_connections_are_reopened_after_termination(database_url: str) -> None:
    """All connections are terminated at once, by an administrator or a proxy: requests fail only briefly."""
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

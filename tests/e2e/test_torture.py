"""Kills at random moments under load: whatever was acknowledged holds, and everything that began has an end.

`make torture` runs it for as long as one asks; the seed is printed and can be given again.
"""

import asyncio
import random
import signal
import time
from contextlib import suppress

import asyncpg
import httpx
import pytest

from tests.e2e.server import Server, serving, start_server
from tests.support import ECHO_TS, core_wat, eventually

SERVERS = 2
SETTLING = 60  # seconds in which everything must have come to its end once the kills are over


class Client:
    """Registers and executes against whichever server is up, and remembers what was acknowledged."""

    def __init__(self, servers: list[Server], choose: random.Random) -> None:
        self._servers = servers
        self._choose = choose
        self.functions: dict[str, str] = {}
        self.executions: dict[str, dict[str, int]] = {}
        self.unexpected: list[str] = []

    async def run(self, number: int, deadline: float) -> None:
        """One of everything, again and again."""
        for turn in range(1_000_000):
            if time.monotonic() > deadline:
                return
            url = self._choose.choice(self._servers).url
            # A server may be killed with the request in it: then nothing was acknowledged.
            with suppress(httpx.TransportError):
                async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
                    await self._step(http, f"f-{number}-{turn}")

    async def _step(self, http: httpx.AsyncClient, name: str) -> None:
        source = ECHO_TS if self._choose.random() < 0.2 else core_wat(extra=f"(global i64 (i64.const {hash(name)}))")
        language = "assemblyscript" if source == ECHO_TS else "wat"
        response = await http.post("/functions", json={"name": name, "language": language, "source": source})
        self._expect(response, {201, 503})
        if response.status_code == 201:
            self.functions[name] = response.json()["id"]
        if self.functions:
            known = self._choose.choice(list(self.functions))
            document = {"n": self._choose.randrange(1000)}
            response = await http.post(f"/functions/{known}/execute", json={"input": document})
            self._expect(response, {200, 400, 429, 503})
            if response.status_code == 200:
                self.executions[response.json()["id"]] = document

    def _expect(self, response: httpx.Response, statuses: set[int]) -> None:
        if response.status_code not in statuses:
            self.unexpected.append(f"{response.status_code}: {response.text[:300]}")


async def test_random_kills_lose_nothing(database_url: str, request: pytest.FixtureRequest) -> None:
    seconds = float(request.config.getoption("torture_seconds"))
    seed = request.config.getoption("torture_seed") or random.SystemRandom().randrange(1 << 32)
    print(f"torture: seed {seed}, {seconds:g} s")
    choose = random.Random(int(seed))
    settings = ("--database-url", database_url, "--visibility-timeout", "5s", "--poll-interval", "1s")
    servers = [await start_server(*settings) for _ in range(SERVERS)]
    client = Client(servers, choose)
    deadline = time.monotonic() + seconds
    load = [asyncio.create_task(client.run(number, deadline)) for number in range(3)]
    kills = 0
    while time.monotonic() < deadline:
        await asyncio.sleep(choose.uniform(0.3, 2.5))
        position = choose.randrange(SERVERS)
        victim = servers[position]
        victim.process.send_signal(signal.SIGKILL)
        await victim.process.wait()
        kills += 1
        servers[position] = await start_server(*settings)
    await asyncio.gather(*load)
    for server in servers:
        server.process.send_signal(signal.SIGKILL)
        await server.process.wait()
    assert client.unexpected == []
    assert client.functions, f"nothing was acknowledged (seed {seed})"

    async with serving(*settings), asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:

        async def unsettled() -> list[tuple[str, int]]:
            rows = await pool.fetch(
                "SELECT 'functions' AS what, count(*) FROM functions WHERE status NOT IN ('READY', 'FAILED') "
                "UNION ALL SELECT 'executions', count(*) FROM executions WHERE status = 'RUNNING' "
                "UNION ALL SELECT 'jobs', count(*) FROM pgmq.q_compilation_jobs "
                "UNION ALL SELECT 'results', count(*) FROM pgmq.q_compilation_results"
            )
            return [(row["what"], row["count"]) for row in rows if row["count"]]

        left = await eventually(unsettled, lambda found: not found, timeout=SETTLING)
        assert left == [], f"seed {seed}"
        found = {row["name"]: str(row["id"]) for row in await pool.fetch("SELECT id, name FROM functions")}
        assert client.functions.items() <= found.items(), f"acknowledged functions are missing (seed {seed})"
        assert await pool.fetchval("SELECT count(*) FROM functions WHERE revision <> 1") == 0
        lost = await pool.fetchval(
            "SELECT count(*) FROM unnest($1::uuid[]) AS wanted LEFT JOIN executions ON id = wanted "
            "WHERE executions.status IS DISTINCT FROM 'COMPLETED'",
            list(client.executions),
        )
        assert lost == 0, f"acknowledged executions are not COMPLETED (seed {seed})"
        # Nothing was applied twice: each function changed its state at most from PENDING over COMPILING to an end.
        failed = await pool.fetch("SELECT name, compile_error FROM functions WHERE status = 'FAILED'")
        assert [dict(row) for row in failed] == [], f"seed {seed}"
    print(f"torture: {kills} kills, {len(client.functions)} functions, {len(client.executions)} executions")

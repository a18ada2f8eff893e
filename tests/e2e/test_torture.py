"""Kills servers at random moments under load: acknowledged work is not lost, and all started work completes.

`make torture SECONDS=600` sets the duration; the seed is printed and can be passed again.
"""

import asyncio
import json
import random
import signal
import time
import zlib
from contextlib import suppress

import asyncpg
import httpx
import pytest

from faas.database.pool import Pool
from tests.helpers.invariants import assert_invariants, record_ends
from tests.helpers.server import EVERY_LANGUAGE, Server, serving, start_server
from tests.helpers.support import ECHO_TS, core_wat

pytestmark = pytest.mark.slow

SERVERS = 2
SETTLE_TIMEOUT_SECONDS = 60  # until all work must have completed after the last kill


class Client:
    """Creates and executes functions on random servers, and keeps what was acknowledged."""

    def __init__(self, servers: list[Server], choose: random.Random) -> None:
        self._servers = servers
        self._choose = choose
        self.functions: dict[str, str] = {}
        self.executions: dict[str, dict[str, int]] = {}
        self.unexpected: list[str] = []

    async def run(self, number: int, deadline: float) -> None:
        """Create and execute functions until `deadline`."""
        for turn in range(1_000_000):
            if time.monotonic() > deadline:
                return
            url = self._choose.choice(self._servers).url
            # A server may be killed during a request, which is then not acknowledged.
            with suppress(httpx.TransportError):
                async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as http:
                    await self._step(http, f"f-{number}-{turn}")

    async def _step(self, http: httpx.AsyncClient, name: str) -> None:
        source = (
            ECHO_TS
            if self._choose.random() < 0.2
            else core_wat(extra=f"(global i64 (i64.const {zlib.crc32(name.encode())}))")
        )
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


async def test_torture_by_random_kills_loses_nothing(database_url: str, request: pytest.FixtureRequest) -> None:
    seconds = float(request.config.getoption("torture_seconds"))
    seed = request.config.getoption("torture_seed") or random.SystemRandom().randrange(1 << 32)
    print(f"torture: seed {seed}, {seconds:g} s")
    choose = random.Random(int(seed))
    settings = ("--database-url", database_url, "--visibility-timeout", "5s", "--poll-interval", "1s", *EVERY_LANGUAGE)
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool:
        await record_ends(pool)
        client = await _torment(choose, seconds, settings)
        assert client.unexpected == [], f"seed {seed}"
        assert client.functions, f"nothing was acknowledged (seed {seed})"
        async with serving(*settings):
            await _settle(pool, client)


async def _torment(choose: random.Random, seconds: float, settings: tuple[str, ...]) -> Client:
    """Put load on servers while random ones are killed and restarted; at the end kill all."""
    servers = [await start_server(*settings) for _ in range(SERVERS)]
    client = Client(servers, choose)
    deadline = time.monotonic() + seconds
    load = [asyncio.create_task(client.run(number, deadline)) for number in range(3)]
    kills = 0
    try:
        while time.monotonic() < deadline:
            await asyncio.sleep(choose.uniform(0.3, 2.5))
            position = choose.randrange(SERVERS)
            await servers[position].stop(signal.SIGKILL)
            kills += 1
            servers[position] = await start_server(*settings)
        await asyncio.gather(*load)
    finally:
        for server in servers:
            await server.stop(signal.SIGKILL)
    print(f"torture: {kills} kills, {len(client.functions)} functions, {len(client.executions)} executions")
    return client


async def _settle(pool: Pool, client: Client) -> None:
    """Assert that all work completes, and that acknowledged work has the acknowledged result."""
    await assert_invariants(
        pool, functions=client.functions.values(), executions=client.executions, timeout=SETTLE_TIMEOUT_SECONDS
    )
    rows = await pool.fetch("SELECT id, name, status, revision, compile_error FROM functions")
    assert client.functions.items() <= {row["name"]: str(row["id"]) for row in rows}.items()
    assert {row["revision"] for row in rows} == {1}
    # A job may have failed on five killed servers and be dead-lettered; every other function is READY.
    errors = [row["compile_error"] for row in rows if row["status"] == "FAILED"]
    assert [error for error in errors if "failed after" not in error] == []
    wrong = await pool.fetch(
        "SELECT wanted.id, status, output::text FROM unnest($1::uuid[], $2::text[]) AS wanted (id, input) "
        "LEFT JOIN executions USING (id) WHERE status IS DISTINCT FROM 'COMPLETED' "
        "OR output::jsonb <> wanted.input::jsonb",
        list(client.executions),
        [json.dumps(document) for document in client.executions.values()],
    )
    assert [tuple(row) for row in wrong] == [], "an acknowledged execution has another result"

"""`faas serve --workers 2`: one server of several processes, which are replaced, die and end."""

import asyncio
import os
import re
import signal
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.helpers.certificates import CertificateFiles
from tests.helpers.command_line import Faas
from tests.helpers.server import Server, alive, client_of, failing, processes_of, serving, start_server
from tests.helpers.support import LOOP_WAT, Platform, core_wat, eventually
from tests.helpers.workers import SteadyClients, connections, execute_at_once, statuses, worker_pids

IN_FLIGHT = 6
ROUNDS = 12  # two at least, and more until both workers had an execution, which is chance


@pytest.fixture(scope="module")
async def server(module_database_url: str) -> AsyncIterator[Server]:
    options = ("--workers", "2", "--max-in-flight", str(IN_FLIGHT))
    async with serving("--database-url", module_database_url, *options) as started:
        yield started


@pytest.fixture
async def platform(server: Server, module_database_url: str) -> AsyncIterator[Platform]:
    async with client_of(server, module_database_url) as opened:
        yield opened


async def deployed(platform: Platform, name: str, source: str, **limits: float) -> None:
    """Deploy a function with limits."""
    await platform.register(name, source, settings={"limits": limits})
    function = await platform.settled(name)
    assert function["status"] == "READY", function["compileError"]


async def processes_of_executions(platform: Platform, name: str) -> list[int]:
    """Return how many executions of the function each process ran."""
    rows = await platform.pool.fetch(
        "SELECT count(*) FROM executions JOIN functions ON functions.id = function_id WHERE name = $1 GROUP BY process_id",
        name,
    )
    return sorted(row[0] for row in rows)


async def test_workers_share_the_connections_and_have_their_metrics_and_health_in_common(
    server: Server, platform: Platform
) -> None:
    await platform.deploy("shared", core_wat())
    async with connections(server, 8) as clients:
        for client in clients:
            for _ in range(3):
                assert (await client.post("/functions/shared/execute", json={"input": {}})).status_code == 200
        parts = await processes_of_executions(platform, "shared")
        assert len(parts) == 2
        assert parts[0] >= 6
        texts = [(await client.get("/metrics")).text for client in clients]
        healths = [(await client.get("/health")).json() for client in clients]
    for text in texts:
        counts = re.findall(r'^faas_executions_total\{function="shared".*\} (\S+)$', text, re.MULTILINE)
        assert sum(map(float, counts)) == 24
        assert len(re.findall(r"^process_resident_memory_bytes ", text, re.MULTILINE)) == 1
        assert 'faas_queue_messages{queue="compilation_jobs"} 0.0' in text
    assert all(health["toolchains"] == {"wat": "UP", "wasm": "UP"} for health in healths)
    assert all(set(health["consumers"]) == set(healths[0]["consumers"]) for health in healths)


async def test_concurrency_of_a_function_holds_for_all_workers(server: Server, platform: Platform) -> None:
    await deployed(platform, "pair", LOOP_WAT, time=1, concurrency=2)
    async with connections(server, 6) as clients:
        for number in range(ROUNDS):
            answers = await execute_at_once(clients, "pair")
            assert statuses(answers) == {200: 2, 429: 4}
            if number and len(await processes_of_executions(platform, "pair")) == 2:
                break
    assert len(await processes_of_executions(platform, "pair")) == 2
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert "has 2 executions in flight; its settings allow 2 at once" in refused.text


async def test_rate_of_a_function_holds_for_all_workers(server: Server, platform: Platform) -> None:
    await deployed(platform, "rare", core_wat(), perSecond=0.02)
    async with connections(server, 6) as clients:
        answers = [answer for _ in range(3) for answer in await execute_at_once(clients, "rare")]
    assert statuses(answers) == {200: 1, 429: 17}


async def test_executions_in_flight_are_limited_for_all_workers(server: Server, platform: Platform) -> None:
    await deployed(platform, "slow", LOOP_WAT, time=1)
    async with connections(server, 2 * IN_FLIGHT) as clients:
        for number in range(ROUNDS):
            answers = await execute_at_once(clients, "slow")
            assert statuses(answers) == {200: IN_FLIGHT, 429: IN_FLIGHT}
            if number and len(await processes_of_executions(platform, "slow")) == 2:
                break
    assert len(await processes_of_executions(platform, "slow")) == 2


async def test_sighup_replaces_the_workers_without_a_failed_request(server: Server, platform: Platform) -> None:
    await platform.deploy("steady", core_wat())
    before = worker_pids(server)
    done = len(server.events("restart.finished"))
    steady = SteadyClients(server, "steady")
    async with steady.running():
        server.process.send_signal(signal.SIGHUP)

        async def finished() -> bool:
            return len(server.events("restart.finished")) > done

        await eventually(finished, timeout=60)
        answered = steady.answered

        async def served_by_new() -> bool:
            return steady.answered > answered + 20

        await eventually(served_by_new)
    assert steady.failures == []
    assert len(worker_pids(server)) == 2
    assert not worker_pids(server) & before
    texts = (await platform.http.get("/metrics")).text
    counts = re.findall(r'^faas_executions_total\{function="steady".*\} (\S+)$', texts, re.MULTILINE)
    assert sum(map(float, counts)) == steady.answered  # those of the workers that have ended, too


async def test_worker_that_is_killed_is_replaced_and_its_executions_are_reaped(
    server: Server, platform: Platform
) -> None:
    await deployed(platform, "victim", LOOP_WAT, time=4, concurrency=4)
    before = worker_pids(server)

    async def call(client: httpx.AsyncClient) -> str:
        try:
            return str((await client.post("/functions/victim/execute", json={"input": {}})).json()["errorMessage"])
        except httpx.TransportError:
            return "lost"

    async def running() -> list[int]:
        return await processes_of_executions(platform, "victim")

    async with connections(server, 4) as clients:
        calls = [asyncio.create_task(call(client)) for client in clients]
        parts = await eventually(running, lambda parts: sum(parts) == 4)
        assert len(parts) == 2
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        answers = await asyncio.gather(*calls)
    lost = answers.count("lost")
    assert lost in parts
    assert answers.count("time limit of 4s exceeded") == 4 - lost

    async def records() -> list[str]:
        rows = await platform.pool.fetch(
            "SELECT error_message FROM executions JOIN functions ON functions.id = function_id WHERE name = 'victim'"
        )
        return sorted(str(row[0]) for row in rows)

    # Sooner than by the heartbeat, which takes 15 s.
    expected = ["interrupted"] * lost + ["time limit of 4s exceeded"] * (4 - lost)
    await eventually(records, lambda found: found == expected, timeout=10)

    async def pids() -> set[int]:
        return worker_pids(server)

    async def replaced() -> list[dict[str, object]]:
        return server.events("worker.replaced")

    await eventually(replaced)
    after = await eventually(pids, lambda found: len(found) == 2)
    assert killed not in after
    async with connections(server, 6) as clients:  # what the dead one has counted is free again
        assert statuses(await execute_at_once(clients, "victim")) == {200: 4, 429: 2}


async def test_sighup_reloads_the_certificate_and_sigterm_ends_all_processes(data_dir: Path, tmp_path: Path) -> None:
    files = CertificateFiles.write(tmp_path)
    options = ("--tls-cert", str(files.certificate), "--tls-key", str(files.key), "--workers", "2")
    server = await start_server("--data-dir", str(data_dir), *options)
    port = int(server.url.rpartition(":")[2])

    async def served() -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port), timeout=20)

    old, before = await served(), worker_pids(server)
    key = files.key.read_bytes()
    files.key.unlink()
    server.process.send_signal(signal.SIGHUP)

    async def refused() -> list[dict[str, object]]:
        return server.events("certificate.reload_failed")

    await eventually(refused)
    assert (await served(), worker_pids(server)) == (old, before)
    files.key.write_bytes(key)
    CertificateFiles.write(tmp_path, key_type="rsa")
    server.process.send_signal(signal.SIGHUP)

    async def finished() -> list[dict[str, object]]:
        return server.events("restart.finished")

    await eventually(finished)
    assert {await served() for _ in range(4)} != {old}
    assert old not in {await served() for _ in range(4)}
    children = processes_of(server.process.pid)
    assert any("postgres" in Path(f"/proc/{pid}/cmdline").read_text() for pid in children)
    assert await server.stop(signal.SIGTERM) == 0
    assert [pid for pid in children if alive(pid)] == []
    assert server.lines[-1] == "faas: stopped"


async def test_workers_and_postgres_end_with_a_supervisor_that_is_killed(data_dir: Path) -> None:
    server = await start_server("--data-dir", str(data_dir), "--workers", "2")
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
        await Platform(http, None).deploy("loop", LOOP_WAT)  # type: ignore[arg-type]
        calls = [asyncio.create_task(http.post("/functions/loop/execute", json={"input": {}})) for _ in range(4)]
        listed = "/functions/loop/executions?status=RUNNING"

        async def running() -> int:
            return len((await http.get(listed)).json())

        await eventually(running, lambda number: number == 4)
        children = processes_of(server.process.pid)
        began = time.monotonic()
        server.process.kill()

        async def left() -> list[int]:
            return [pid for pid in children if alive(pid)]

        await eventually(left, lambda pids: pids == [], timeout=20)
        assert time.monotonic() - began < 9  # the guests have 10 s
        await asyncio.gather(*calls, return_exceptions=True)
    await server.stop()


async def test_serve_ends_when_a_worker_refuses_the_settings(database_url: str) -> None:
    options = ("--host", "0.0.0.0", "--database-url", database_url)  # noqa: S104
    code, text = await failing("serve", "--port", "0", "--workers", "2", *options)
    assert code == 2
    assert "--host 0.0.0.0 is reached by other machines, and there is no token" in text


async def test_sighup_keeps_the_workers_when_a_new_one_does_not_start(database_url: str) -> None:
    """The last token is revoked: a start beyond loopback is refused then."""
    faas = Faas(None, {"FAAS_DATABASE_URL": database_url})
    await faas("token", "create", "only", "--scope", "read", "--database-url", database_url)
    options = ("--host", "0.0.0.0", "--database-url", database_url, "--workers", "2")  # noqa: S104
    async with serving(*options) as server:
        before = worker_pids(server)
        await faas("token", "revoke", "only", "--database-url", database_url)
        server.process.send_signal(signal.SIGHUP)

        async def failed() -> list[dict[str, object]]:
            return server.events("restart.failed")

        (event,) = await eventually(failed)
        assert "there is no token" in str(event["error"])

        async def pids() -> set[int]:
            return worker_pids(server)

        await eventually(pids, lambda found: found == before)
        assert [alive(pid) for pid in before] == [True, True]


async def test_sigterm_while_workers_start_ends_all(database_url: str) -> None:
    arguments = ("--database-url", database_url, "--workers", "2")
    starting = asyncio.create_task(start_server(*arguments))
    seen: set[int] = set()

    async def begun() -> set[int]:
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    command = (folder / "cmdline").read_bytes()
                except OSError:
                    continue
                if database_url.encode() in command and b"--workers" in command:
                    seen.add(int(folder.name))
        return {child for pid in seen for child in processes_of(pid)}

    children = await eventually(begun)
    os.kill(min(seen), signal.SIGTERM)
    with pytest.raises(AssertionError, match="stopped while starting"):
        await starting

    async def left() -> list[int]:
        return [pid for pid in children if alive(pid)]

    await eventually(left, lambda pids: pids == [])

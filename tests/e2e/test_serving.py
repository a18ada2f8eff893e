"""`faas serve`: start, graceful shutdown, restart and limits, on an embedded Postgres, as root and as another user."""

import asyncio
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import pytest

from faas.server.log_streams import LossyLogStream
from tests.helpers.connections import client_sockets, execute
from tests.helpers.server import (
    COMMAND,
    EVERY_LANGUAGE,
    Server,
    alive,
    client_of,
    compilers_of,
    failing,
    processes_of,
    serving,
    start_server,
)
from tests.helpers.support import ECHO_TS, LOOP_WAT, Platform, core_wat, eventually


async def answer(server: Server, method: str, path: str, **arguments: object) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
        return await http.request(method, path, **arguments)  # type: ignore[arg-type]


async def test_functions_and_executions_survive_a_restart(data_dir: Path) -> None:
    async with (
        serving("--data-dir", str(data_dir), *EVERY_LANGUAGE) as server,
        httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http,
    ):
        platform = Platform(http, None)  # type: ignore[arg-type]
        function = await platform.deploy("echo", ECHO_TS, "assemblyscript")
        execution = await platform.execute("echo", {"a": 1})
        assert any(str(data_dir) in line for line in server.lines)
        assert any(f"{server.url}/schema" in line for line in server.lines)
    async with serving("--data-dir", str(data_dir)) as server:
        assert (await answer(server, "GET", "/functions/echo")).json() == function
        record = (await answer(server, "GET", f"/executions/{execution['id']}")).json()
        assert record["output"] == {"a": 1}
        again = await answer(server, "POST", "/functions/echo/execute", json={"input": {"b": 2}})
        assert again.json()["output"] == {"b": 2}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_graceful_shutdown_drains_and_leaves_no_process(data_dir: Path, number: signal.Signals) -> None:
    server = await start_server("--data-dir", str(data_dir), "--time-limit", "2s", *EVERY_LANGUAGE)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http:
        platform = Platform(http, None)  # type: ignore[arg-type]
        await platform.deploy("loop", LOOP_WAT)
        children = processes_of(server.process.pid)
        assert any("postgres" in Path(f"/proc/{pid}/cmdline").read_text() for pid in children)
        running = asyncio.create_task(platform.execute("loop"))

        async def listed() -> list[object]:
            return list((await http.get("/functions/loop/executions?status=RUNNING")).json())

        await eventually(listed)
        server.process.send_signal(number)
        # The request in flight is still answered.
        assert (await running)["errorMessage"] == "time limit of 2s exceeded"
    assert await server.stop(signal.SIGCONT) == 0
    for pid in children:
        assert not alive(pid)
    assert server.lines[-1] == "faas: stopped"


async def test_second_signal_interrupts_the_execution_and_records_why(data_dir: Path) -> None:
    server = await start_server("--data-dir", str(data_dir), "--time-limit", "300s")
    async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http:
        platform = Platform(http, None)  # type: ignore[arg-type]
        await platform.deploy("loop", LOOP_WAT)
        running = asyncio.create_task(http.post("/functions/loop/execute", json={}))

        async def listed() -> list[object]:
            return list((await http.get("/functions/loop/executions?status=RUNNING")).json())

        await eventually(listed)
        server.process.send_signal(signal.SIGTERM)
        await eventually(lambda: asyncio.sleep(0, any("shutting down gracefully" in line for line in server.lines)))
        assert await server.stop(signal.SIGTERM) == 0
        await asyncio.gather(running, return_exceptions=True)
    async with serving("--data-dir", str(data_dir)) as again:
        (execution,) = (await answer(again, "GET", "/functions/loop/executions")).json()
        assert execution["status"] == "FAILED"
        assert execution["errorMessage"].startswith("interrupted")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_serve_as_an_unprivileged_user(data_dir: Path) -> None:
    home = data_dir.parent / "home"
    home.mkdir()
    data_dir.parent.chmod(0o755)
    shutil.chown(home, "nobody")
    try:
        subprocess.run([COMMAND, "--version"], user="nobody", env={}, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("user nobody cannot reach this checkout or its Python")
    become = "import os, sys; os.setgid(65534); os.setgroups([]); os.setuid(65534); os.execv(sys.argv[1], sys.argv[1:])"
    server = await start_server(*EVERY_LANGUAGE, environment={"HOME": str(home)}, prefix=(sys.executable, "-c", become))
    async with httpx.AsyncClient(base_url=server.url, timeout=60, trust_env=False) as http:
        platform = Platform(http, None)  # type: ignore[arg-type]
        await platform.deploy("echo", ECHO_TS, "assemblyscript")
        assert (await platform.execute("echo", {"a": 1}))["output"] == {"a": 1}
    assert await server.stop() == 0
    assert (home / ".local" / "share" / "faas" / "postgres" / "PG_VERSION").exists()


@pytest.mark.alone
async def test_notify_wakes_the_consumers_without_the_poll(database_url: str) -> None:
    """With a poll interval of 60 s, only NOTIFY wakes the consumers: for the job and for its result."""
    async with (
        serving("--database-url", database_url, "--poll-interval", "60s") as server,
        client_of(server, database_url) as platform,
    ):
        for number in range(10):
            await platform.register(f"f{number}", core_wat(extra=f"(global i32 (i32.const {number}))"))
            await asyncio.sleep(0.1)
        for number in range(10):
            await platform.settled(f"f{number}")
        delays = await platform.pool.fetch(
            "SELECT id, extract(epoch FROM updated_at - created_at)::float8 AS seconds, live_status FROM functions"
        )
        compiled = server.events("compilation.finished")
        assert len(compiled) == 10
        assert {row["live_status"] for row in delays} == {"READY"}
        # Each is READY within its compile time + 100 ms. A busy machine may stall a few; a missing NOTIFY would take 60 s.
        spent = {line["functionId"]: line["durationMs"] / 1000 for line in compiled}
        waits = sorted(row["seconds"] - spent[str(row["id"])] for row in delays)
        assert waits[5] < 0.1, waits
        assert waits[-1] < 2, waits


async def test_update_while_compiling_ends_with_the_newest_source(database_url: str) -> None:
    async with (
        serving("--database-url", database_url, *EVERY_LANGUAGE) as server,
        client_of(server, database_url) as platform,
    ):
        await platform.register("f", _numbered(0), "assemblyscript")

        async def compiling() -> bool:
            found = (await platform.http.get("/functions/f")).json()
            return bool(found["latest"]["status"] == "COMPILING")

        for number in range(1, 4):
            await eventually(compiling)
            body = {"name": "f", "language": "assemblyscript", "source": _numbered(number)}
            response = await platform.http.put("/functions/f", json=body)
            latest = response.json()["latest"]
            assert (latest["status"], latest["revision"]) == ("PENDING", number + 1)
        function = await platform.latest_settled("f", timeout=60)
        assert (function["status"], function["revision"]) == ("READY", 4)
        assert (await platform.execute("f"))["output"] == 3

        async def idle() -> bool:
            return not await platform.pool.fetchval("SELECT count(*) FROM pgmq.q_compilation_results")

        await eventually(idle)  # and still after every late result has been read
        assert (await platform.execute("f"))["output"] == 3


def _numbered(number: int) -> str:
    return f"export function handle(input: string): string {{ return '{number}'; }}"


async def test_health_lists_the_toolchains(database_url: str) -> None:
    async with serving("--database-url", database_url, *EVERY_LANGUAGE) as server:
        health = (await answer(server, "GET", "/health")).json()
        assert health["status"] == "UP"
        assert set(health["toolchains"]) == {"javascript", "typescript", "assemblyscript", "wat", "wasm"}
        assert health["toolchains"]["assemblyscript"] in {"UP", "WARMING"}


async def test_language_that_is_not_enabled_is_rejected_and_its_compiler_is_not_started(database_url: str) -> None:
    async with serving("--database-url", database_url, "--languages", "wasm,wat") as server:
        assert set((await answer(server, "GET", "/health")).json()["toolchains"]) == {"wat", "wasm"}
        body = {"name": "echo", "language": "assemblyscript", "source": ECHO_TS}
        refused = await answer(server, "POST", "/functions", json=body)
        assert refused.status_code == 400
        assert refused.json()["detail"] == (
            "language: 'assemblyscript' is not enabled on this server (FAAS_LANGUAGES); accepted: wasm, wat"
        )
        async with client_of(server, database_url) as platform:
            await platform.deploy("echo", core_wat())
        assert compilers_of(server, "precompile/worker.py")
        assert not compilers_of(server, "worker.mjs")  # it would be started before the precompiler


@pytest.mark.parametrize(
    "request_bytes",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: abc\r\n\r\n", b"GET /\xff\x00 HTTP/1.1\r\n\r\n"],
)
async def test_invalid_http_is_answered_with_a_problem(small_server: Server, request_bytes: bytes) -> None:
    host, port = small_server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request_bytes)
    answered = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert answered.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"application/problem+json" in answered
    assert b"x-request-id: " in answered.lower()


async def test_header_limit_rejects_headers_while_they_arrive(small_server: Server) -> None:
    host, port = small_server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
    with suppress(ConnectionError):
        for _ in range(100):
            writer.write(b"x" * 10_000)
            await writer.drain()
    head = await asyncio.wait_for(reader.readline(), 10)
    assert head.startswith(b"HTTP/1.1 431 ")
    writer.close()
    assert (await answer(small_server, "GET", "/health")).status_code == 200


async def test_read_timeout_ends_slow_clients_without_delaying_others(small_server: Server) -> None:
    host, port = small_server.url.removeprefix("http://").split(":")
    slow = [await asyncio.open_connection(host, int(port)) for _ in range(100)]
    for number, (_, writer) in enumerate(slow):
        head = (
            b"POST /functions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n"
        )
        writer.write(head[: 20 + number] if number % 2 else head + b"\r\n{")
    assert (await answer(small_server, "GET", "/health")).status_code == 200
    answers = await asyncio.wait_for(asyncio.gather(*(reader.read() for reader, _ in slow)), 60)
    assert all(answered.startswith(b"HTTP/1.1 408 ") for answered in answers)
    for _, writer in slow:
        writer.close()
    assert (await answer(small_server, "GET", "/health")).status_code == 200


async def test_half_close_gets_the_answers_and_leaves_no_socket(database_url: str) -> None:
    """On uvloop, whose transports differ from asyncio's: tests/integration/server/test_half_close.py has all cases."""
    async with serving("--database-url", database_url, "--time-limit", "1s") as server:
        host, port = server.url.removeprefix("http://").split(":")

        async def answered(sent: bytes) -> bytes:
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent)
            writer.write_eof()
            found = await asyncio.wait_for(reader.read(), 20)
            writer.close()
            return found

        async with client_of(server, database_url) as platform:
            await platform.deploy("echo", core_wat())
            await platform.deploy("loop", LOOP_WAT)
        health = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
        for sent, outputs in (
            (execute("echo", '{"n":1}'), [b'"output":{"n":1}']),
            (execute("echo", '{"n":1}', "connection: upgrade", "upgrade: h2c"), [b'"output":{"n":1}']),
            (execute("loop"), [b"time limit of"]),
            (execute("loop") + execute("echo", '{"n":2}') + health, [b"time limit of", b'"output":{"n":2}', b'"UP"']),
            (health, [b'"UP"']),
            (health + execute("echo", '{"n":3}')[:-1], [b'"UP"']),
            (execute("echo", '{"n":3}')[:-1], []),
            (b"", []),
        ):
            found = await answered(sent)
            assert found.count(b"HTTP/1.1 200 ") == len(outputs)
            assert [output for output in outputs if output not in found] == []
        await eventually(partial(client_sockets, int(port)), lambda count: count == 0)


async def test_head_of_health_has_no_body(small_server: Server) -> None:
    response = await answer(small_server, "HEAD", "/health")
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 100  # of the body that GET would have


async def test_start_failure_is_one_line_and_exit_code_2(data_dir: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, message = await failing("serve", "--data-dir", str(data_dir), "--port", port)
        assert (code, message) == (
            2,
            f"faas: cannot listen on 127.0.0.1:{port}: Address already in use; choose another with --port\n",
        )
    code, message = await failing("serve", "--port", "0", "--database-url", "postgresql://faas@127.0.0.1:1/none")
    assert (code, message.count("\n")) == (2, 1)
    assert "cannot connect to the database" in message
    code, message = await failing("serve", environment={"FAAS_TIME_LIMIT": "soon"})
    assert (code, message) == (2, "faas: FAAS_TIME_LIMIT='soon': a duration such as 300ms, 10s, 2m or 1m30s\n")
    async with serving("--data-dir", str(data_dir)):
        code, message = await failing("serve", "--data-dir", str(data_dir), "--port", "0")
        assert (code, message.count("\n")) == (2, 1)
        assert "is in use by another faas (pid " in message


async def test_closed_log_pipe_does_not_stop_the_server_or_its_shutdown(data_dir: Path) -> None:
    server = await start_server("--data-dir", str(data_dir))
    assert server._reading
    server._reading.cancel()
    pipe = server.process._transport.get_pipe_transport(2)  # type: ignore[attr-defined]
    pipe.close()
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
        platform = Platform(http, None)  # type: ignore[arg-type]
        await platform.deploy("echo", core_wat())
        assert (await platform.execute("echo", {"a": 1}))["output"] == {"a": 1}
        assert (await http.get("/health")).json()["status"] == "UP"
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(server.process.wait(), 30) == 0


def test_lossy_log_stream_does_not_block_on_a_full_pipe() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        buffered = io.BufferedWriter(LossyLogStream(writing, "w", closefd=False))
        for _ in range(64):
            buffered.write(b"x" * 10_000)
            buffered.flush()
    finally:
        os.close(reading)
        os.close(writing)


async def test_migrate_reports_the_applied_migrations(data_dir: Path) -> None:
    async def run() -> str:
        process = await asyncio.create_subprocess_exec(
            COMMAND, "migrate", "--data-dir", str(data_dir), env={}, stdout=-1, stderr=-1
        )
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, err
        return out.decode()

    assert "applied 0001_functions" in await run()
    assert await run() == "the schema is up to date\n"

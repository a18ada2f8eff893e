"""Tests of the roles: processes on one Postgres that only serve the API or only compile."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from tests.helpers.server import EVERY_LANGUAGE, Server, client_of, failing, processes_of, serving, start_server
from tests.helpers.support import Platform, core_wat, eventually

_SETTINGS = ("--visibility-timeout", "3s", "--poll-interval", "1s", *EVERY_LANGUAGE)


async def health(server: Server) -> dict[str, object]:
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as http:
        found: dict[str, object] = (await http.get("/health")).json()
        return found


def programs(server: Server) -> str:
    """Return the command lines of all descendants of the server."""
    return "\n".join(Path(f"/proc/{pid}/cmdline").read_text() for pid in processes_of(server.process.pid))


async def archiving(platform: Platform) -> int:
    """Return how many compilers wait to archive a compiled job."""
    return int(
        await platform.pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock' AND query LIKE '%pgmq.archive(%'"
        )
    )


async def test_role_compiler_killed_in_a_compilation_is_replaced_by_its_peer(
    database_url: str,
) -> None:
    async with AsyncExitStack() as stack:
        database = ("--database-url", database_url)
        api = await stack.enter_async_context(serving(*database, *_SETTINGS, "--role", "api"))
        survivor = await stack.enter_async_context(serving(*database, *_SETTINGS, "--role", "compiler"))
        platform = await stack.enter_async_context(client_of(api, database_url))
        killed = await start_server(*database, *_SETTINGS, "--role", "compiler")
        try:
            assert (await health(api))["consumers"] == {"compilation_results": "UP", "listener": "UP"}
            for compiler in (survivor, killed):
                assert (await health(compiler))["consumers"] == {"compilation_jobs": "UP", "listener": "UP"}

            async with platform.pool.acquire() as connection, connection.transaction():
                # The last transaction of a compilation archives the job, which this lock blocks.
                await connection.execute("LOCK TABLE pgmq.a_compilation_jobs IN EXCLUSIVE MODE")
                for number in range(8):
                    source = f"export function handle(input: string): string {{ return '{number}'; }}"
                    await platform.register(f"f{number}", source, "assemblyscript")
                await eventually(lambda: archiving(platform), lambda count: count == 2, timeout=60)
                assert "worker.mjs" in programs(killed)
                killed.process.send_signal(signal.SIGKILL)
                await killed.process.wait()
        finally:
            await killed.stop(signal.SIGKILL)
        for number in range(8):
            function = await platform.settled(f"f{number}", timeout=60)
            assert (function["status"], function["revision"]) == ("READY", 1)
            assert (await platform.execute(f"f{number}"))["output"] == number

        results = await platform.pool.fetchval(
            "SELECT count(*) FROM pgmq.a_compilation_results WHERE message ? 'success'"
        )
        assert results == 8  # the job of the killed compiler has one result
        assert "worker.mjs" not in programs(api)
        assert not any("compilation.finished" in line for line in api.lines)
        assert any("compilation.finished" in line for line in survivor.lines)
        assert not any("compilation_result.applied" in line for line in survivor.lines)


async def test_role_compiler_serves_only_health_and_metrics(database_url: str) -> None:
    async with (
        serving("--database-url", database_url, "--role", "compiler", *EVERY_LANGUAGE) as compiler,
        httpx.AsyncClient(base_url=compiler.url, timeout=30, trust_env=False) as http,
    ):
        answer = await http.get("/health")
        assert (answer.status_code, answer.json()["role"]) == (200, "compiler")
        assert set(answer.json()["toolchains"]) == {"javascript", "typescript", "assemblyscript", "wat", "wasm"}
        assert (await http.head("/health")).status_code == 200
        assert 'faas_queue_messages{queue="compilation_jobs"} 0.0' in (await http.get("/metrics")).text
        for method, path in [
            ("POST", "/functions"),
            ("POST", "/functions/f/execute"),
            ("GET", "/functions/f"),
            ("GET", "/"),
            ("GET", "/schema"),
        ]:
            answer = await http.request(method, path)
            assert answer.status_code == 404, (method, path)
            assert "this process has the role compiler" in answer.json()["detail"]
            assert answer.json()["instance"] == path
        assert (await http.post("/health")).status_code == 405
    assert not any("API page" in line or "deploy FILE" in line for line in compiler.lines)


async def test_role_api_queues_functions_until_there_is_a_compiler(database_url: str) -> None:
    """The role api acknowledges and shows the queue; a compiler that starts later receives the job."""
    async with (
        serving("--database-url", database_url, "--role", "api") as api,
        client_of(api, database_url) as platform,
    ):
        await platform.register("echo", core_wat())
        assert (await platform.http.get("/health")).json()["toolchains"]["compiler"] == "OFF"
        assert 'faas_queue_messages{queue="compilation_jobs"} 1.0' in (await platform.http.get("/metrics")).text
        async with serving("--database-url", database_url, "--role", "compiler"):
            assert (await platform.settled("echo"))["status"] == "READY"
        assert (await platform.execute("echo", {"a": 1}))["output"] == {"a": 1}


async def test_role_compiler_reaps_executions_of_a_dead_api_process(database_url: str) -> None:
    """Processes of every role reap executions."""
    async with (
        serving("--database-url", database_url, "--role", "compiler") as compiler,
        client_of(compiler, database_url) as platform,
    ):
        await platform.pool.execute(
            "INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at) "
            "VALUES (gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), '{}', now(), now())"
        )

        async def ended() -> str | None:
            found: str | None = await platform.pool.fetchval("SELECT error_message FROM executions")
            return found

        assert await eventually(ended, timeout=40) == "interrupted"


async def test_role_compiler_without_database_url_is_refused(data_dir: Path) -> None:
    code, said = await failing("serve", "--role", "compiler", "--port", "0", "--data-dir", str(data_dir))
    assert (code, said) == (
        2,
        "faas: the role compiler needs --database-url: the Postgres that the other processes use\n",
    )
    assert not await asyncio.to_thread(data_dir.exists)

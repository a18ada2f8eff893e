"""Clients that disconnect: executions that have started are recorded, others never start, and every slot is freed."""

import asyncio

from tests.helpers.server import EVERY_LANGUAGE, Server, client_of, serving
from tests.helpers.support import LOOP_WAT, Platform, core_wat, eventually

CLIENTS = 20


async def disconnect_after(server: Server, request: bytes) -> None:
    """Send `request`, which may be a part of one, and close the connection without reading an answer."""
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    await asyncio.sleep(0.2)  # until the server has received it
    writer.close()


def execution(name: str, content_length: int) -> bytes:
    head = f"POST /functions/{name}/execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {content_length}\r\n\r\n{{}}".encode()


async def test_disconnected_clients_leave_no_execution_in_flight(database_url: str) -> None:
    settings = ("--database-url", database_url, "--time-limit", "2s", "--max-in-flight", str(CLIENTS))
    async with serving(*settings) as server, client_of(server, database_url) as platform:
        await platform.deploy("loop", LOOP_WAT)
        await platform.deploy("echo", core_wat())
        # Half of them disconnect after the whole request, half in the middle of the body.
        await asyncio.gather(*(disconnect_after(server, execution("loop", 2 if n % 2 else 10)) for n in range(CLIENTS)))

        async def left() -> tuple[int, str]:
            running = await platform.pool.fetchval("SELECT count(*) FROM executions WHERE status = 'RUNNING'")
            return running, in_flight(await metrics(platform))

        assert await eventually(left, lambda found: found == (0, "0.0"), timeout=20) == (0, "0.0")
        rows = await platform.pool.fetch("SELECT error_message FROM executions")
        assert [row["error_message"] for row in rows] == ["time limit of 2s exceeded"] * (CLIENTS // 2)
        # Every slot is free again.
        answers = await asyncio.gather(*(platform.execute("echo", {"n": n}) for n in range(CLIENTS)))
        assert [answer["status"] for answer in answers] == ["COMPLETED"] * CLIENTS


async def test_graceful_shutdown_drains_executions_of_disconnected_clients(database_url: str) -> None:
    source = "export function handle(input: string): string { while (performance.now() < 3000) {} return input; }"
    settings = ("--database-url", database_url, "--shutdown-grace", "20s", *EVERY_LANGUAGE)
    async with serving(*settings) as server, client_of(server, database_url) as platform:
        await platform.deploy("slow", source, "assemblyscript")
        await disconnect_after(server, execution("slow", 2))

        async def status() -> str | None:
            found: str | None = await platform.pool.fetchval("SELECT status FROM executions")
            return found

        await eventually(status, lambda found: found == "RUNNING")
        assert await server.stop() == 0
        assert await status() == "COMPLETED"


async def metrics(platform: Platform) -> str:
    return (await platform.http.get("/metrics")).text


def in_flight(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("faas_executions_in_flight ")]
    return line.split()[1]

"""Clients that go away: what had begun comes to its end on record, what had not never begins, and nothing is held."""

import asyncio

from tests.helpers.server import EVERY_LANGUAGE, Server, client_of, serving
from tests.helpers.support import LOOP_WAT, Platform, core_wat, eventually

CLIENTS = 20


async def hang_up_after(server: Server, request: bytes) -> None:
    """Send so much of a request and close the connection without reading an answer."""
    host, port = server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    await writer.drain()
    await asyncio.sleep(0.2)  # it is on its way
    writer.close()


def execution(name: str, content_length: int) -> bytes:
    head = f"POST /functions/{name}/execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {content_length}\r\n\r\n{{}}".encode()


async def test_clients_that_go_away_leave_no_work_behind(database_url: str) -> None:
    settings = ("--database-url", database_url, "--time-limit", "2s", "--max-in-flight", str(CLIENTS))
    async with serving(*settings) as server, client_of(server, database_url) as platform:
        await platform.deploy("loop", LOOP_WAT)
        await platform.deploy("echo", core_wat())
        # Half of them have sent everything, half go away in the middle of the body.
        await asyncio.gather(*(hang_up_after(server, execution("loop", 2 if n % 2 else 10)) for n in range(CLIENTS)))

        async def left() -> tuple[int, str]:
            running = await platform.pool.fetchval("SELECT count(*) FROM executions WHERE status = 'RUNNING'")
            return running, in_flight(await metrics(platform))

        assert await eventually(left, lambda found: found == (0, "0.0"), timeout=20) == (0, "0.0")
        rows = await platform.pool.fetch("SELECT error_message FROM executions")
        assert [row["error_message"] for row in rows] == ["time limit of 2s exceeded"] * (CLIENTS // 2)
        # Every place is free again.
        answers = await asyncio.gather(*(platform.execute("echo", {"n": n}) for n in range(CLIENTS)))
        assert [answer["status"] for answer in answers] == ["COMPLETED"] * CLIENTS


async def test_a_server_that_stops_waits_for_what_nobody_waits_for(database_url: str) -> None:
    source = "export function handle(input: string): string { while (performance.now() < 3000) {} return input; }"
    settings = ("--database-url", database_url, "--shutdown-grace", "20s", *EVERY_LANGUAGE)
    async with serving(*settings) as server, client_of(server, database_url) as platform:
        await platform.deploy("slow", source, "assemblyscript")
        await hang_up_after(server, execution("slow", 2))

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

"""HTTP endpoints over a real port: the fast path and the application frame and answer requests alike."""

import asyncio
from pathlib import Path

import httpx
import pytest

from faas.settings import Settings
from tests.helpers.connections import Connection, Port, request
from tests.helpers.support import Platform, core_wat

BY_STATUS = "export const handler = (event) => ({ statusCode: Number(event.rawPath.slice(1)), body: '{}' });"
TO_THE_APPLICATION = "sec-fetch-site: none"


@pytest.fixture
def port_settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url, data_dir=tmp_path, languages=("javascript", "wat"), database_pool=4, time_limit=5
    )


async def answer_end(connection: Connection) -> bytes:
    """Send a request for health after what was sent, and return all bytes before its answer."""
    connection.send(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
    found = await asyncio.wait_for(connection.reader.readuntil(b'"status":"UP"'), 20)
    return found.rpartition(b"HTTP/1.1 200 OK")[0]


async def test_answers_of_all_statuses_end_where_the_next_one_begins(port: Port) -> None:
    """One without a body must say so: a client would wait for it until the connection ends."""
    await deploy(port, "status", BY_STATUS)
    for status, framing in ((200, b"content-length: 2"), (204, None), (205, b"content-length: 0"), (304, None)):
        for header in ("accept: */*", TO_THE_APPLICATION):
            connection = await port.connect()
            port.application_paths.clear()
            connection.send(request(f"/f/status/{status}", b"", header))
            found = await answer_end(connection)
            assert port.application_paths.count(f"/f/status/{status}") == (header == TO_THE_APPLICATION)
            assert found.startswith(b"HTTP/1.1 %d " % status)
            assert found.endswith(b"\r\n\r\n{}" if status == 200 else b"\r\n\r\n")
            assert (framing is None) == (b"content-length" not in found)
            assert framing is None or framing in found
            assert b"transfer-encoding" not in found
            await connection.close()


@pytest.mark.parametrize("path", ["/f/missing", "/f/missing/a%20b?x=1", "/f/%66ailing", "/f/failing@1"])
async def test_problems_are_the_same_on_both_paths(port: Port, path: str) -> None:
    await deploy(port, "failing", core_wat("unreachable"), "wat")
    port.application_paths.clear()
    connection = await port.connect()
    connection.send(request(path, b""))
    status, _, fast = await connection.answer()
    assert not port.application_paths
    connection.send(request(path, b"", TO_THE_APPLICATION))
    assert (await connection.answer())[0] == status
    connection.send(request(path, b"", TO_THE_APPLICATION))
    _, _, asgi = await connection.answer()
    assert len(port.application_paths) == 2
    for name in ("requestId", "executionId"):
        assert (fast.pop(name, None) is None) == (asgi.pop(name, None) is None)
    assert fast == asgi
    await connection.close()


async def test_tunnel_to_a_function_is_refused(port: Port) -> None:
    """A proxy before the server would take a 200 for the beginning of the tunnel."""
    connection = await port.connect()
    connection.send(b"CONNECT /f/echo HTTP/1.1\r\nhost: localhost\r\n\r\n")
    assert (await connection.answer())[0] == 404
    assert await connection.closed()
    await connection.close()


async def deploy(port: Port, name: str, source: str, language: str = "javascript") -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port.number}", trust_env=False, timeout=60) as http:
        platform = Platform(http, None)  # type: ignore[arg-type]
        await platform.register(name, source, language)
        assert (await platform.settled(name, timeout=120))["status"] == "READY"

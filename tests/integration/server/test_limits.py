"""Header limit, read timeout and keep-alive timeout over a real port."""

import asyncio
import contextlib
from pathlib import Path

import httpx
import pytest

from faas.server import limits
from tests.helpers.connections import Connection, Port, execute, request
from tests.helpers.support import Platform, core_wat, eventually

CHUNKED = (
    b"POST /functions/echo/execute HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
)
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"


@pytest.mark.parametrize("trailer", [b"a: b\r\n", b"x"], ids=["many", "one that does not end"])
async def test_header_limit_applies_to_trailers(connection: Connection, trailer: bytes) -> None:
    connection.send(CHUNKED)
    for _ in range(16):  # twice the limit: what comes after the answer is discarded for a second
        connection.send(trailer * (8192 // len(trailer)))
        await asyncio.sleep(0.01)
    status, head, _ = await connection.answer()
    assert (status, head["connection"]) == (431, "close")
    assert await connection.closed()


async def test_trailers_are_not_added_to_the_headers(connection: Connection) -> None:
    connection.send(CHUNKED + b"X-Request-Id: trailing\r\nExpect: 100-continue\r\n\r\n" + execute())
    status, head, _ = await connection.answer()
    assert (status, head["x-request-id"] == "trailing") == (200, False)
    assert (await connection.answer())[0] == 200


async def test_header_limit_does_not_count_a_chunked_body(connection: Connection) -> None:
    body = b'{"input":{"a":"' + b"x" * 300_000 + b'"}}'
    connection.send(CHUNKED.replace(b"2\r\n{}\r\n0\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)))
    assert (await connection.answer())[0] == 200


async def test_header_limit_rejects_long_headers_in_one_chunk_and_in_many(port: Port) -> None:
    long = HEALTH + b"x-long: " + b"x" * limits.HEADER_LIMIT_BYTES + b"\r\n\r\n"
    for size in (len(long), 1000):
        connection = await port.connect()
        for start in range(0, len(long), size):
            connection.send(long[start : start + size])
            await asyncio.sleep(0)
        assert (await connection.answer())[0] == 431
        assert await connection.closed()
        await connection.close()
    assert port.application_paths == []


async def test_header_limit_counts_pipelined_requests_separately(connection: Connection) -> None:
    connection.send((HEALTH + b"x-long: " + b"x" * 8000 + b"\r\n\r\n") * 12)
    assert [(await connection.answer())[0] for _ in range(12)] == [200] * 12


async def test_keep_alive_timeout_is_not_extended_by_empty_lines(connection: Connection) -> None:
    connection.send(execute())
    await connection.answer()
    lines = asyncio.create_task(_send_empty_lines(connection))
    with contextlib.suppress(ConnectionResetError):  # where a line met the close
        assert await connection.closed()
    assert lines.cancel()  # before the last line was sent


async def _send_empty_lines(connection: Connection) -> None:
    for _ in range(200):
        connection.send(b"\r\n")
        await asyncio.sleep(0.1)


async def test_keep_alive_timeout_follows_a_body_that_arrives_after_its_answer(connection: Connection) -> None:
    connection.send(HEALTH.replace(b"GET", b"POST") + b"content-length: 100\r\n\r\n")
    assert (await connection.answer())[0] == 405
    connection.send(b"x" * 100)
    assert await connection.closed()


async def test_keep_alive_timeout_spares_a_request_that_an_empty_line_completes(connection: Connection) -> None:
    """Its head begins before the answer to another, which starts the timeout, and its own answer takes longer."""
    head = request("/functions/loop/execute", b"")
    connection.send(execute("echo", '{"slow":1}') + head[:-2])
    assert (await connection.answer())[2]["output"] == {"slow": 1}
    connection.send(b"\r\n")
    assert (await connection.answer())[2]["errorMessage"].startswith("time limit")


async def test_keep_alive_timeout_spares_a_body_of_empty_lines(connection: Connection) -> None:
    connection.send(HEALTH.replace(b"GET", b"POST") + b"content-length: 30\r\n\r\n")
    assert (await connection.answer())[0] == 405
    for _ in range(30):
        connection.send(b"\n")
        await asyncio.sleep(0.1)
    connection.send(HEALTH + b"\r\n")
    assert (await connection.answer())[0] == 200


async def test_expect_100_continue_rejected_closes_the_connection(connection: Connection) -> None:
    announced = execute().replace(b"content-length: 12", b"content-length: 100000000\r\nexpect: 100-continue")
    connection.send(announced.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    status, head, _ = await connection.answer()
    assert (status, head["connection"]) == (413, "close")
    assert await connection.closed()


@pytest.mark.parametrize("target", ["/functions/echo/execute", "/functions/echo/execute?", "/functions"])
async def test_content_length_with_a_thousand_digits_is_rejected(connection: Connection, target: str) -> None:
    given = f"POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    connection.send(f"{given}content-length: {'0' * 5000}2\r\n\r\n{{}}".encode())
    assert (await connection.answer())[0] == 400
    assert await connection.closed()


@pytest.mark.parametrize("query", ["", "?"])
async def test_request_id_is_the_first_of_two(connection: Connection, query: str) -> None:
    connection.send(
        execute("echo", "{}", "x-request-id: one", "x-request-id: two").replace(b" HTTP", f"{query} HTTP".encode())
    )
    assert (await connection.answer())[1]["x-request-id"] == "one"


async def test_read_timeout_does_not_count_time_in_which_the_server_does_not_read(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server stops reading until it has answered the earlier requests."""
    monkeypatch.setattr(limits, "READ_TIMEOUT_SECONDS", 0.3)
    last = execute("echo", '{"last":true}')
    connection.send(execute("loop") + execute() + last[:-5])
    await asyncio.sleep(0.1)
    connection.send(last[-5:])
    assert (await connection.answer())[2]["errorMessage"].startswith("time limit")
    assert (await connection.answer())[0] == 200
    assert (await connection.answer())[2]["output"] == {"last": True}


async def test_client_that_takes_nothing_of_its_answer_is_disconnected(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer, of megabytes, would be in the memory as long as the client likes."""
    monkeypatch.setattr(limits, "WRITE_TIMEOUT_SECONDS", 1)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port.number}", trust_env=False) as http:
        await Platform(http, None).deploy("large", core_wat(memory="40 2000"))  # type: ignore[arg-type]
    connection = await port.connect()
    connection.transport.pause_reading()
    connection.send(execute("large", '{"a":"' + "x" * 2_000_000 + '"}'))
    pair = [f":{number:04X}" for number in (port.number, connection.writer.get_extra_info("sockname")[1])]

    async def states() -> list[str]:  # of the server's end; the client hears of it when it reads
        entries = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
        return [entry[3] for entry in entries if [entry[1][-5:], entry[2][-5:]] == pair]

    assert await states()
    await eventually(states, lambda found: not found)
    connection.transport.resume_reading()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await connection.answer()
    connection.writer.close()

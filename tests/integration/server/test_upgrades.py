"""Requests to upgrade the protocol over a real port: answered as HTTP/1.1, with their bodies and no byte of another."""

import asyncio
import json
from typing import Any

import pytest

from faas.server.limits import LimitedHttpProtocol
from tests.helpers.connections import Connection, Port, execute, request

H2C = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAoAAAAAIAAAAA")
UPGRADES = {
    "h2c": H2C,
    "websocket": ("connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13"),
    "several values": ("connection: upgrade", "upgrade: h2c, websocket, TLS/1.0"),
    "several headers": ("connection: keep-alive", "connection: upgrade", "upgrade: foo/2", "upgrade: websocket"),
}
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"


def chunked(target: str, chunks: bytes, *headers: str) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "host: localhost", "transfer-encoding: chunked", *headers]
    return "\r\n".join([*lines, "content-type: application/json", "", ""]).encode() + chunks


async def executions(pool: Any) -> list[Any]:
    return [json.loads(row["input"]) for row in await pool.fetch("SELECT input FROM executions ORDER BY id")]


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("size", [1, 40, 1 << 20], ids=["byte by byte", "in parts", "at once"])
async def test_ignored_upgrade_keeps_the_body(
    port: Port, connection: Connection, upgrade: tuple[str, ...], size: int
) -> None:
    for number, sent in enumerate(
        (
            execute("echo", '{"n":0}', *upgrade),
            chunked("/functions/echo/execute", b'7\r\n{"input\r\na\r\n":{"n":1}}\r\n0\r\n\r\n', *upgrade),
            chunked("/functions/echo/execute?", b'11;x=y\r\n{"input":{"n":2}}\r\n0\r\nsent: true\r\n\r\n', *upgrade),
            execute("echo", '{"n":3}'),  # the connection serves ordinary requests as before
        )
    ):
        for start in range(0, len(sent), size):
            connection.send(sent[start : start + size])
            await asyncio.sleep(0)
        status, head, body = await connection.answer()
        assert (status, body["output"], head.get("connection")) == (200, {"n": number}, None)
    assert port.application_paths == ["/functions/echo/execute"] * 3  # the last one took the fast path


async def test_ignored_upgrade_keeps_the_body_of_a_function(connection: Connection) -> None:
    function = {"name": "upgraded", "language": "wat", "source": "(module)"}
    for method, target in (("POST", "/functions"), ("PUT", "/functions/upgraded")):
        sent = request(target, json.dumps(function).encode(), "content-type: application/json", *H2C)
        connection.send(sent.replace(b"POST", method.encode(), 1))
        status, _, body = await connection.answer()
        assert (status // 100, body["name"]) == (2, "upgraded")


async def test_ignored_upgrade_keeps_the_body_over_http_1_0(connection: Connection) -> None:
    connection.send(execute("echo", '{"n":7}', *H2C, version="1.0"))
    status, head, body = await connection.answer()
    assert (status, body["output"], head["connection"]) == (200, {"n": 7}, "close")
    assert await connection.closed()


async def test_ignored_upgrade_waits_for_a_body_after_100_continue(connection: Connection) -> None:
    head, _, body = execute("echo", '{"n":7}', "expect: 100-continue", *H2C).partition(b"\r\n\r\n")
    connection.send(head + b"\r\n\r\n")
    assert await asyncio.wait_for(connection.reader.readuntil(b"\r\n\r\n"), 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.send(body)
    assert (await connection.answer())[2]["output"] == {"n": 7}


@pytest.mark.parametrize("size", [1, 100, 1 << 20], ids=["byte by byte", "in parts", "at once"])
async def test_requests_after_an_ignored_upgrade_are_answered(connection: Connection, pool: Any, size: int) -> None:
    sent = (
        execute("echo", '{"n":1}', *H2C)
        + HEALTH.replace(b"\r\n\r\n", b"\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n")
        + request("/functions/echo/execute", b"", *H2C)
        + execute("echo", '{"n":2}')
        + chunked("/functions/echo/execute", b'12\r\n{"input": {"n":3}}\r\n0\r\n\r\n', *H2C)
        + HEALTH
    )
    for start in range(0, len(sent), size):
        connection.send(sent[start : start + size])
        await asyncio.sleep(0)
    answers = [(await connection.answer())[2] for _ in range(6)]
    assert [answer.get("output", answer["status"]) for answer in answers] == [
        {"n": 1}, "UP", {}, {"n": 2}, {"n": 3}, "UP",
    ]  # fmt: skip
    assert await executions(pool) == [{"n": 1}, {}, {"n": 2}, {"n": 3}]


SMUGGLED = execute("echo", '{"smuggled":true}')


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES)
@pytest.mark.parametrize("split", [False, True], ids=["at once", "body in a later packet"])
async def test_body_of_an_ignored_upgrade_is_not_a_request(
    port: Port, connection: Connection, pool: Any, upgrade: tuple[str, ...], *, split: bool
) -> None:
    """Bytes that a proxy takes for a body must not be executed, whatever the answer to the request that has them."""
    target, chunks = "/functions/echo/execute", b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    for sent, expected in (
        (request(target, SMUGGLED, "content-type: application/json", *upgrade), 400),
        (chunked(target, chunks, *upgrade), 400),
        (request("/nowhere", SMUGGLED, *upgrade), 404),  # answered before its body arrives
        (request("/health", SMUGGLED, *upgrade), 405),
        (request("/health", SMUGGLED, *upgrade).replace(b"POST", b"GET", 1), 200),
    ):
        end = sent.index(b"\r\n\r\n") + 4 if split else len(sent)
        connection.send(sent[:end])
        if split:
            await asyncio.sleep(0.05)
        connection.send(sent[end:] + HEALTH)
        status, _, _ = await connection.answer()
        assert status == expected
        assert (await connection.answer())[2]["status"] == "UP"
    assert await executions(pool) == []
    assert port.application_paths.count("/functions/echo/execute") == 2


@pytest.mark.parametrize("target", ["faas:80", "/functions/echo/execute", "/functions"])
@pytest.mark.parametrize("split", [False, True], ids=["at once", "in a later packet"])
async def test_bytes_after_connect_are_not_a_request(
    connection: Connection, pool: Any, target: str, *, split: bool
) -> None:
    connection.send(
        f"CONNECT {target} HTTP/1.1\r\nhost: localhost:80\r\ncontent-length: {len(SMUGGLED)}\r\n\r\n".encode()
    )
    if split:
        await connection.writer.drain()
        await asyncio.sleep(0)
    connection.send(SMUGGLED + SMUGGLED)
    status, head, _ = await connection.answer()
    assert (status, head["connection"]) == (405 if target.startswith("/") else 400, "close")
    assert await connection.closed()
    assert await executions(pool) == []


BAD_FRAMINGS = {
    "two lengths": "content-length: 3\r\ncontent-length: 4\r\n",
    "a list of lengths": "content-length: 3, 3\r\n",
    "a signed length": "content-length: +3\r\n",
    "a length and chunks": "content-length: 3\r\ntransfer-encoding: chunked\r\n",
    "chunks and a length": "transfer-encoding: chunked\r\ncontent-length: 3\r\n",
    "chunked twice": "transfer-encoding: chunked, chunked\r\n",
    "a folded header": "transfer-encoding:\r\n chunked\r\n",
    "a space before the colon": "content-length : 3\r\n",
    "a length too large": "content-length: 99999999999999999999\r\n",
}


@pytest.mark.parametrize("upgrade", [(), H2C], ids=["ordinary", "upgrade"])
async def test_ambiguous_framing_is_rejected_and_closes_the_connection(
    port: Port, pool: Any, upgrade: tuple[str, ...]
) -> None:
    lines = "".join(f"{line}\r\n" for line in ("host: localhost", "content-type: application/json", *upgrade))
    for case, framing in BAD_FRAMINGS.items():
        connection = await port.connect()
        connection.send(f"POST /functions/echo/execute HTTP/1.1\r\n{lines}{framing}\r\n".encode() + SMUGGLED)
        status, answered, _ = await connection.answer()
        assert (status, answered["connection"]) == (400, "close"), case
        assert await connection.closed(), case
        await connection.close()
    assert await executions(pool) == []


CUT_OFF = {
    "last byte": execute("echo", '{"n":1}')[:-1],
    "whole body": execute("echo", '{"n":1}').partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
    "last chunk": chunked("/functions/echo/execute", b'12\r\n{"input": {"n":3}}\r\n'),
    "end of trailers": chunked("/functions/echo/execute", b'12\r\n{"input": {"n":3}}\r\n0\r\n'),
    "first chunk": chunked("/functions/echo/execute", b""),
    "end of a function": request(
        "/functions", b'{"name":"cut","language":"wat","source":"(module)"}', "content-type: application/json"
    )[:-1],
}


@pytest.mark.parametrize("upgrade", [(), H2C], ids=["ordinary", "upgrade"])
async def test_announced_body_that_does_not_arrive_starts_nothing(
    port: Port, pool: Any, upgrade: tuple[str, ...]
) -> None:
    lines = "".join(f"{line}\r\n" for line in upgrade).encode()
    for sent in CUT_OFF.values():
        connection = await port.connect()
        connection.send(sent.replace(b"\r\n", b"\r\n" + lines, 1))
        await connection.writer.drain()
        await asyncio.sleep(0.05)
        await connection.close()
    last = await port.connect()
    last.send(execute("echo", '{"last":true}'))
    assert (await last.answer())[0] == 200
    await last.close()
    assert await executions(pool) == [{"last": True}]
    assert await pool.fetchval("SELECT count(*) FROM functions WHERE name = 'cut'") == 0


@pytest.mark.parametrize("query", ["", "?"], ids=["fast path", "application"])
async def test_announced_body_that_the_parser_loses_is_not_an_empty_one(
    port: Port, pool: Any, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setattr(LimitedHttpProtocol, "on_body", lambda *_: None)
    connection = await port.connect()
    connection.send(execute("echo", '{"n":1}').replace(b" HTTP", query.encode() + b" HTTP", 1))
    status, _, problem = await connection.answer()
    assert (status, problem["detail"]) == (400, "body: 17 bytes are announced, 0 have arrived")
    assert await executions(pool) == []
    await connection.close()

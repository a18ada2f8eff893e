"""Content and transfer codings over a real port: a body that the server cannot decode is rejected and named."""

import gzip
import json
import zlib
from typing import Any

import pytest

from tests.helpers.connections import Connection, Port, execute, request

JSON = "content-type: application/json"
INPUT = b'{"input":{"n":7}}'
FUNCTION = json.dumps({"name": "coded", "language": "wat", "source": "(module)"}).encode()
ENCODED = {
    "gzip": (("gzip",), gzip.compress(INPUT)),
    "x-gzip": (("x-gzip",), gzip.compress(INPUT)),
    "deflate": (("deflate",), zlib.compress(INPUT)),
    "br": (("br",), b"\x0b\x08\x80" + INPUT + b"\x03"),
    "zstd": (("zstd",), b"\x28\xb5\x2f\xfd\x20\x11\x89\x00\x00" + INPUT),
    "upper case": (("GZIP",), gzip.compress(INPUT)),
    "a list": (("identity, gzip",), gzip.compress(INPUT)),
    "another list": (("deflate,gzip",), gzip.compress(zlib.compress(INPUT))),
    "two headers": (("identity", "gzip"), gzip.compress(INPUT)),
    "unknown": (("rot13",), INPUT),
    "a quoted string": (('"gzip"',), INPUT),
    "an empty body": (("gzip",), b""),
}
TARGETS = ("/functions/echo/execute", "/functions/echo/execute?", "/functions/unknown/execute", "/functions")


@pytest.mark.parametrize("target", TARGETS)
async def test_content_encoding_is_rejected_and_named(
    port: Port, connection: Connection, pool: Any, target: str
) -> None:
    for case, (values, body) in ENCODED.items():
        connection.send(request(target, body, JSON, *(f"content-encoding: {value}" for value in values)))
        status, head, problem = await connection.answer()
        assert (status, head["accept-encoding"]) == (415, "identity"), case
        assert problem["type"] == "urn:faas:problem:unsupported-content-encoding"
        assert problem["detail"] == (
            f"Content-Encoding: {', '.join(values)!r}; accepted is identity: send the body as it is"
        )
        assert (problem["requestId"], problem["instance"]) == (head["x-request-id"], target.rstrip("?"))
    assert len(port.application_paths) == len(ENCODED)
    assert await pool.fetchval("SELECT count(*) FROM executions") == 0
    # The connection serves another request.
    connection.send(execute("echo", '{"n":1}'))
    assert (await connection.answer())[2]["output"] == {"n": 1}


async def test_content_encoding_of_an_update_is_rejected(connection: Connection) -> None:
    sent = request("/functions/echo", gzip.compress(FUNCTION), JSON, "content-encoding: gzip")
    connection.send(sent.replace(b"POST", b"PUT", 1))
    assert (await connection.answer())[0] == 415


async def test_content_encoding_is_rejected_before_the_body_is_read(connection: Connection) -> None:
    head = execute("echo", "{}", "content-encoding: gzip", "expect: 100-continue").partition(b"\r\n\r\n")[0]
    connection.send(head + b"\r\n\r\n")
    assert (await connection.answer())[0] == 415
    assert await connection.closed()


@pytest.mark.parametrize("value", ["identity", "Identity", "", "identity, identity", " , identity"])
async def test_content_encoding_identity_is_accepted(connection: Connection, value: str) -> None:
    for query in ("", "?"):
        sent = execute("echo", '{"n":7}', f"content-encoding: {value}")
        connection.send(sent.replace(b" HTTP", query.encode() + b" HTTP", 1))
        assert (await connection.answer())[2]["output"] == {"n": 7}


async def test_content_encoding_does_not_replace_another_problem(connection: Connection) -> None:
    """There is no body to decode where a path does not exist, does not accept the method, or takes no body."""
    for method, target, expected in (
        ("POST", "/nowhere", 404),
        ("POST", "/health", 405),
        ("GET", "/health", 200),
        ("DELETE", "/functions/unknown", 404),
    ):
        connection.send(request(target, b"", "content-encoding: gzip").replace(b"POST", method.encode(), 1))
        assert (await connection.answer())[0] == expected


TRANSFER_CODINGS = {
    "gzip, chunked": 501,
    "GZIP , Chunked": 501,
    "deflate, gzip, chunked": 501,
    "foo;a=b, chunked": 501,
    "gzip\r\ntransfer-encoding: chunked": 501,
    "identity, chunked": 501,
    "gzip": 400,
    "identity": 400,
    "chunked, gzip": 400,
    "chunked, chunked": 400,
    "chunked\r\ntransfer-encoding: gzip": 400,
    "chunked;a=b": 400,
    '"chunked"': 400,
    "xchunked": 400,
}


@pytest.mark.parametrize("upgrade", [(), ("connection: upgrade", "upgrade: h2c")], ids=["ordinary", "upgrade"])
async def test_transfer_coding_that_is_not_chunked_is_rejected_and_closes_the_connection(
    port: Port, pool: Any, upgrade: tuple[str, ...]
) -> None:
    body = gzip.compress(INPUT)
    for target in ("/functions/echo/execute", "/functions"):
        for codings, expected in TRANSFER_CODINGS.items():
            connection = await port.connect()
            lines = (f"POST {target} HTTP/1.1", "host: localhost", JSON, f"transfer-encoding: {codings}", *upgrade)
            head = "\r\n".join([*lines, "", ""]).encode()
            connection.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) + execute())
            status, answered, problem = await connection.answer()
            assert (status, answered["connection"]) == (expected, "close"), codings
            if expected == 501:
                assert problem["detail"].startswith("Transfer-Encoding: ")
                assert problem["detail"].endswith("; accepted is chunked")
            assert await connection.closed(), codings
            await connection.close()
    assert await pool.fetchval("SELECT count(*) FROM executions") == 0
    assert port.application_paths == []


@pytest.mark.parametrize("coding", ["chunked", "Chunked", " , chunked"])
async def test_transfer_coding_chunked_is_accepted(connection: Connection, coding: str) -> None:
    head = f"POST /functions/echo/execute HTTP/1.1\r\nhost: localhost\r\n{JSON}\r\ntransfer-encoding: {coding}\r\n\r\n"
    connection.send(head.encode() + b"%x\r\n%b\r\n0\r\n\r\n" % (len(INPUT), INPUT))
    assert (await connection.answer())[2]["output"] == {"n": 7}

"""The HTTP protocol over TLS, on asyncio's event loop: tests/e2e/test_tls.py has the command, on uvloop."""

import asyncio
import json
import ssl
from contextlib import suppress
from typing import Any

import pytest

from faas.server.certificate import ServerCertificate
from faas.server.limits import HEADER_LIMIT_BYTES
from tests.helpers.certificates import CertificateFiles
from tests.helpers.connections import Connection, Port, execute, request
from tests.helpers.support import core_wat, eventually

LARGE_CHARACTERS = 1_000_000  # more than the buffers of both sockets
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.fixture
async def tls_connection(tls_port: Port) -> Any:
    opened = await tls_port.connect()
    yield opened
    opened.writer.transport.abort()


def large_function(*headers: str) -> bytes:
    """Return a request to create a function; its answer has the source again."""
    source = core_wat() + ";;"
    body = json.dumps({"name": "large", "language": "wat", "source": source.ljust(LARGE_CHARACTERS, "x")})
    return request("/functions", body.encode(), "content-type: application/json", *headers)


async def test_tls_executions_take_the_fast_path(tls_port: Port, tls_connection: Connection) -> None:
    for number in range(3):
        tls_connection.send(execute("echo", f'{{"n":{number}}}'))
        status, _, body = await tls_connection.answer()
        assert (status, body["output"]) == (200, {"n": number})
    assert tls_port.application_paths == []


async def test_tls_pipelined_requests_and_large_bodies_are_answered_in_order(tls_connection: Connection) -> None:
    tls_connection.send(HEALTH + execute("echo", '{"n":1}') + large_function() + execute("echo", '{"n":2}'))
    answers = [await tls_connection.answer() for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 200, 201, 200]
    assert [answers[1][2]["output"], answers[3][2]["output"]] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: " + b"x" * 4 * HEADER_LIMIT_BYTES, 431),
        (b"GET /health HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: gzip, chunked\r\n\r\n", 501),
    ],
)
async def test_tls_rejection_is_read_by_the_client_before_the_close(
    tls_connection: Connection, sent: bytes, status: int
) -> None:
    tls_connection.send(sent)
    found, head, body = await tls_connection.answer()
    assert (found, head["connection"], body["status"]) == (status, "close", status)
    assert await tls_connection.closed()


async def test_tls_large_answer_before_a_close_reaches_a_slow_client(tls_connection: Connection) -> None:
    """The close waits until the client has acknowledged everything, which is longer than for its close_notify."""
    sent = large_function("connection: close")
    tls_connection.send(sent)
    await tls_connection.writer.drain()
    tls_connection.transport.pause_reading()
    await asyncio.sleep(3)
    tls_connection.transport.resume_reading()
    status, _, body = await tls_connection.answer()
    assert (status, len(body["source"])) == (201, LARGE_CHARACTERS)
    assert await tls_connection.closed()


async def test_tls_client_that_does_not_answer_the_close_is_disconnected_soon(tls_port: Port) -> None:
    """The keep-alive timeout closes the connection; this client reads nothing, so it never sends its close_notify."""
    connection = await tls_port.connect()
    connection.send(HEALTH)
    await connection.answer()
    connection.transport.pause_reading()
    loop = asyncio.get_running_loop()
    began = loop.time()
    client = connection.writer.get_extra_info("peername"), connection.writer.get_extra_info("sockname")

    async def is_established() -> bool:
        return _is_established(*client)

    await eventually(is_established, lambda established: not established)
    assert loop.time() - began < 15  # 30 s are asyncio's own timeout
    connection.transport.abort()


async def test_tls_client_that_ends_its_sending_gets_no_answer_and_no_warning_is_logged(
    tls_port: Port, pool: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for sent in (execute("echo", '{"n":1}') + HEALTH, execute("loop"), HEALTH + request("/functions", b"{")[:-1]):
        own = await tls_port.connect()
        own.send(sent)
        await asyncio.sleep(0)
        own.writer.close()  # sends close_notify
        with suppress(ssl.SSLError):  # asyncio's, when an answer arrives after the client's close_notify
            await asyncio.wait_for(own.reader.read(), 20)

    async def running() -> int:
        return int(await pool.fetchval("SELECT count(*) FROM executions WHERE status = 'RUNNING'"))

    await eventually(running, lambda count: count == 0)
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


async def test_tls_reload_changes_the_certificate_of_new_connections_only(
    tls_port: Port,
    tls_connection: Connection,
    certificate_files: CertificateFiles,
    server_certificate: ServerCertificate,
) -> None:
    old = certificate_files.der
    new = CertificateFiles.write(certificate_files.certificate.parent, key_type="rsa")
    server_certificate.reload()
    context = new.client_context()
    reader, writer = await asyncio.open_connection("127.0.0.1", tls_port.number, ssl=context)
    assert writer.get_extra_info("ssl_object").getpeercert(binary_form=True) == new.der != old
    writer.write(HEALTH)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
    writer.transport.abort()
    tls_connection.send(HEALTH)
    assert (await tls_connection.answer())[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        await tls_port.connect()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_accepts_1_2_and_1_3(tls_port: Port, certificate_files: CertificateFiles, version: Any) -> None:
    context = certificate_files.client_context()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, writer = await asyncio.open_connection("127.0.0.1", tls_port.number, ssl=context)
    connection = writer.get_extra_info("ssl_object")
    assert (connection.version(), connection.selected_alpn_protocol()) == (version.name.replace("_", "."), "http/1.1")
    writer.transport.abort()


async def test_tls_plain_http_is_closed_without_a_word(tls_port: Port, caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", tls_port.number)
    writer.write(HEALTH)
    answered = await asyncio.wait_for(reader.read(), 20)
    assert not answered.startswith(b"HTTP")
    writer.close()
    assert [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}] == []


def _is_established(server: tuple[str, int], client: tuple[str, int]) -> bool:
    """Whether the server's side of the connection is there (/proc/net/tcp; 01 is ESTABLISHED)."""
    with open("/proc/net/tcp") as table:  # noqa: PTH123
        return any(
            fields[1].endswith(f":{server[1]:04X}") and fields[2].endswith(f":{client[1]:04X}") and fields[3] == "01"
            for fields in (line.split() for line in table)
        )

"""Answers of servers that close their connections: at once, in TLS, with a reset, or while a request is still sent."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from faas.outbound import OutboundClient, OutboundRequest
from faas.outbound.connection import Connection, ConnectionLost
from tests.helpers.certificates import CertificateFiles
from tests.helpers.outbound_calls import Guest, wait_until

BODY = bytes(range(256)) * (20 << 10)
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST, and not FIN


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles.write(tmp_path_factory.mktemp("tls"), names=("localhost",))


@pytest.fixture
def tls(certificate: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


@pytest.fixture
def client(certificate: CertificateFiles) -> Iterator[OutboundClient]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(Path(certificate.certificate))
    client = OutboundClient(tls=context)
    yield client
    client.close()


@contextlib.contextmanager
def serving(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Call `serve` with each connection, in a thread. Returns the host and the port."""

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

    def serve_one(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("length", [f"Connection: close\r\nContent-Length: {len(BODY)}\r\n", ""])
def test_connections_in_tls_are_read_to_their_end(client: OutboundClient, tls: ssl.SSLContext, length: str) -> None:
    def send_and_close(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1 << 16)
            secure.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode() + BODY)

    with serving(send_and_close) as address:
        assert Guest(client, [f"https://{address}"]).answer(f"https://{address}").body == BODY


def test_connections_that_are_reset_do_not_end_an_answer(client: OutboundClient) -> None:
    received = threading.Event()

    def reset(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        received.wait(20)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    with serving(reset) as address:
        guest = Guest(client, [f"http://{address}"])
        number = guest.session.start(OutboundRequest("GET", f"http://{address}"))
        wait_until(lambda: client.memory.held == len(b"half"))
        received.set()
        assert "before the answer was complete" in getattr(guest.wait(number), "message", "no failure")


@pytest.mark.alone
def test_connections_in_tls_with_a_body_that_is_not_sent_are_not_kept(
    client: OutboundClient, tls: ssl.SSLContext
) -> None:
    ended = threading.Event()

    def answer_early(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) as secure:
            secure.recv(100)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly")
            ended.wait(20)

    with serving(answer_early) as address:
        request = OutboundRequest("POST", f"https://{address}", body=bytes(6 << 20))
        assert Guest(client, [f"https://{address}"]).answer(request).body == b"early"
        wait_until(lambda: client._pools.slots.open == 0, timeout=2)
        ended.set()


async def connected(address: str) -> Connection:
    connection = Connection(lambda: None)
    host, _, port = address.partition(":")
    await asyncio.get_running_loop().create_connection(lambda: connection, host, int(port))
    return connection


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
def test_connections_that_the_server_closes_before_the_request_are_lost(sent: bytes) -> None:
    async def request() -> None:
        connection = await connected(address)
        while not connection._ended:
            await asyncio.sleep(0.01)
        with pytest.raises(ConnectionLost) as lost:
            await connection.request("GET", b"GET / HTTP/1.1\r\n\r\n", b"")
        assert not lost.value.stale
        connection.close()

    with serving(lambda connection: connection.sendall(sent)) as address:
        uvloop.run(request())


def test_connections_that_are_reset_while_reading_is_paused_are_lost() -> None:
    answered = threading.Event()

    def answer_and_reset(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(200_000))
        answered.wait(20)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    async def request() -> None:
        connection = await connected(address)
        answer = await connection.request("POST", b"POST / HTTP/1.1\r\nContent-Length: 6000000\r\n\r\n", bytes(6000000))
        while not connection._paused_reading:
            await asyncio.sleep(0.01)
        answered.set()
        while not connection._ended:
            await asyncio.sleep(0.01)
        assert answer.status == 200
        with pytest.raises(ConnectionLost):
            async for _ in connection.body():
                pass
        connection.close()

    with serving(answer_and_reset) as address:
        uvloop.run(asyncio.wait_for(request(), 20))

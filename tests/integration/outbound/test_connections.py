"""The connections of outbound requests: kept for the next request of the same function, bounded, closed when idle."""

import ssl
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from faas.outbound import OutboundClient, OutboundFailure, OutboundRequest, OutboundResponse
from faas.outbound.pools import IDLE_SECONDS
from faas.outbound_patterns import Address, literal_address
from tests.helpers.certificates import CertificateFiles
from tests.helpers.outbound_calls import Guest, wait_until
from tests.helpers.raw_server import RawServer, ReceivedRequest, answer


@pytest.fixture
def client() -> Iterator[OutboundClient]:
    client = OutboundClient()
    yield client
    client.close()


def hello(_: ReceivedRequest) -> list[bytes]:
    return answer(b"hello")


def test_connections_are_kept_for_executions_of_the_function(client: OutboundClient) -> None:
    with RawServer(hello) as server:
        for _ in range(5):
            guest = Guest(client, [server.origin])
            assert guest.answer(server.origin).body == b"hello"
            guest.session.close()
        assert server.connections == 1


def test_connections_are_not_shared_between_functions_nor_lists(client: OutboundClient) -> None:
    with RawServer(hello) as server:
        for patterns, function_id in [([server.origin], uuid4()), ([server.origin], uuid4())]:
            Guest(client, patterns, function_id=function_id).answer(server.origin)
        assert server.connections == 2
        # A connection that the list of an older revision admitted is not there for a newer one.
        function_id = uuid4()
        assert Guest(client, ["*", "127.0.0.0/8"], function_id=function_id).answer(server.origin).status == 200
        assert "127.0.0.1" in Guest(client, ["*"], function_id=function_id).failure(server.origin)
        assert server.connections == 3


def test_connections_that_are_idle_are_closed(client: OutboundClient) -> None:
    with RawServer(hello) as server:
        Guest(client, [server.origin]).answer(server.origin)
        assert not server.disconnected.is_set()
        assert server.disconnected.wait(IDLE_SECONDS + 10)
        assert Guest(client, [server.origin]).answer(server.origin).status == 200


def test_connections_that_the_server_has_closed_are_replaced(client: OutboundClient) -> None:
    with RawServer(hello) as server:
        for method in ("GET", "GET", "POST", "POST"):
            result = Guest(client, [server.origin]).answer(OutboundRequest(method, server.origin))
            assert result.status == 200
            server.disconnect()
            assert server.disconnected.wait(10)
            server.disconnected.clear()
        assert server.connections == 4
        assert len(server.requests) == 4


def test_connections_that_close_on_a_second_request_are_tried_again_for_get_only(client: OutboundClient) -> None:
    served: dict[str, int] = {}

    def once_each(request: ReceivedRequest) -> list[bytes] | None:
        served[request.target] = served.get(request.target, 0) + 1
        return None if request.target == "/second" and served[request.target] == 1 else answer(b"hello")

    with RawServer(once_each) as server:
        guest = Guest(client, [server.origin])
        assert guest.answer(f"{server.origin}/first").status == 200
        assert guest.answer(f"{server.origin}/second").status == 200
        assert served == {"/first": 1, "/second": 2}
        served.clear()
        assert "closed" in guest.failure(OutboundRequest("POST", f"{server.origin}/second")) or served == {"/second": 1}
        assert served == {"/second": 1}


def test_connections_with_an_answer_without_a_request_are_not_used_again(client: OutboundClient) -> None:
    smuggled = b"".join(answer(b"smuggled"))
    late = threading.Event()

    def two_answers(request: ReceivedRequest) -> Iterable[bytes]:
        yield b"".join(answer(b"hello")) + (smuggled if request.target == "/at-once" else b"")
        if request.target == "/later":
            late.wait(20)
            yield smuggled

    with RawServer(two_answers) as server:
        guest = Guest(client, [server.origin])
        for path, connections in [("/at-once", 1), ("/", 2), ("/later", 2)]:
            assert guest.answer(f"{server.origin}{path}").body == b"hello"
            assert server.connections == connections
        pool = client._pools._pools[next(iter(client._pools._pools))]
        (idle,) = next(iter(pool._idle.values()))
        late.set()
        wait_until(lambda: not idle.reusable)
        assert guest.answer(server.origin).body == b"hello"
        assert server.connections == 3


def test_connections_of_cancelled_requests_are_closed_and_not_counted(client: OutboundClient) -> None:
    ended = threading.Event()

    def wait(request: ReceivedRequest) -> list[bytes]:
        if request.target == "/slow":
            ended.wait(20)
        return answer(b"hello")

    with RawServer(wait) as server:
        for _ in range(100):
            guest = Guest(client, [server.origin])
            for _ in range(5):
                guest.session.start(OutboundRequest("GET", f"{server.origin}/slow"))
            guest.session.close()
        assert Guest(client, [server.origin]).answer(server.origin).status == 200
        pools = client._pools
        wait_until(lambda: pools.slots.open == 1)
        ended.set()
        client.close()
        assert pools.slots.open == 0


def test_connections_are_bounded_in_all() -> None:
    client = OutboundClient(max_connections=3)
    ended = threading.Event()

    def wait(request: ReceivedRequest) -> list[bytes]:
        if request.target == "/slow":
            ended.wait(20)
        return answer(b"hello")

    with RawServer(wait) as server:
        guests = [Guest(client, [server.origin], function_id=uuid4()) for _ in range(4)]
        for guest in guests[:3]:
            assert guest.answer(server.origin).status == 200
        assert guests[3].answer(server.origin).status == 200  # an idle connection of another function gives way
        numbers = [guest.session.start(OutboundRequest("GET", f"{server.origin}/slow")) for guest in guests[:3]]
        wait_until(lambda: sum(request.target == "/slow" for request in server.requests) == 3)
        assert guests[3].failure(server.origin) == ("this server has 3 connections of functions open; try again later")
        ended.set()
        assert all(guest.wait(number) for guest, number in zip(guests, numbers, strict=False))
        assert guests[3].answer(server.origin).status == 200
    client.close()


def test_connections_that_are_idle_give_way_to_those_of_their_own_function() -> None:
    client = OutboundClient(max_connections=2)
    with RawServer(hello) as first, RawServer(hello) as second, RawServer(hello) as third:
        guest = Guest(client, [first.origin, second.origin, third.origin])
        for server in (first, second, third):
            assert guest.answer(server.origin).status == 200
    client.close()


def test_connections_that_are_idle_are_closed_while_their_function_has_another_request(client: OutboundClient) -> None:
    ended = threading.Event()

    def wait(_: ReceivedRequest) -> list[bytes]:
        ended.wait(IDLE_SECONDS + 15)
        return answer(b"late")

    with RawServer(hello) as server, RawServer(wait) as slow:
        guest = Guest(client, [server.origin, slow.origin], seconds=IDLE_SECONDS + 20)
        guest.session.start(OutboundRequest("GET", slow.origin))
        assert guest.answer(server.origin).status == 200
        assert server.disconnected.wait(IDLE_SECONDS + 10)
        ended.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles.write(tmp_path_factory.mktemp("tls"), names=("localhost", "api.example.com"))


@pytest.fixture
def tls_server(certificate: CertificateFiles) -> Iterator[RawServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    with RawServer(lambda request: answer(f"{names} {request.header('host')}".encode()), tls=context) as server:
        yield server


def trusting(certificate: CertificateFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certificate.certificate)
    return context


def resolve_to_loopback(host: str) -> list[Address]:
    address = literal_address("127.0.0.1")
    assert address is not None, host
    return [address]


def test_connections_in_tls_have_the_name_of_the_url(tls_server: RawServer, certificate: CertificateFiles) -> None:
    client = OutboundClient(resolve=resolve_to_loopback, tls=trusting(certificate))
    try:
        origin = f"https://api.example.com:{tls_server.port}"
        guest = Guest(client, ["*", "127.0.0.0/8"])
        assert guest.answer(origin).body == f"['api.example.com'] api.example.com:{tls_server.port}".encode()
        assert guest.answer(origin).status == 200
        assert tls_server.connections == 1
        assert guest.answer(tls_server.origin).status == 200  # an address, for which the certificate is valid too
        message = guest.failure(f"https://other.example.com:{tls_server.port}")
        assert message.startswith("no TLS with other.example.com: ")
        assert "mismatch" in message
        big = guest.answer(OutboundRequest("PUT", origin, body=bytes(3 << 20)))
        assert big.status == 200
    finally:
        client.close()


def test_connections_in_tls_check_the_certificate(
    tls_server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client = OutboundClient()
    try:
        message = Guest(client, [tls_server.origin]).failure(tls_server.origin)
        assert message == "no TLS with 127.0.0.1: self-signed certificate"
        assert tls_server.requests == []
        with RawServer(hello) as plain:
            assert Guest(client, [plain.origin]).answer(plain.origin).body == b"hello"
        assert not (tmp_path / "keys").exists()
    finally:
        client.close()


def test_connections_in_tls_carry_large_answers(certificate: CertificateFiles) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    client = OutboundClient(tls=trusting(certificate))
    body = bytes(range(256)) * (20 << 10)
    with RawServer(lambda _: answer(body), tls=context) as server:
        guest = Guest(client, [server.origin])
        assert guest.answer(server.origin).body == body
        assert guest.answer(server.origin).body == body
        assert server.connections == 1
    client.close()


def test_connections_of_many_functions_do_not_mix_answers(client: OutboundClient) -> None:
    def echo(request: ReceivedRequest) -> Iterable[bytes]:
        return answer(request.target.encode())

    with RawServer(echo) as server:
        guests = [Guest(client, [server.origin], function_id=uuid4()) for _ in range(10)]
        started = [
            (guest, path, guest.session.start(OutboundRequest("GET", f"{server.origin}{path}")))
            for guest, number in zip(guests * 20, range(200), strict=True)
            for path in [f"/{number}"]
        ]
        for guest, path, request in started:
            result = guest.wait(request)
            assert isinstance(result, OutboundResponse), result
            assert result.body.decode() == path
        assert not isinstance(guests[0].fetch("https://x.example"), OutboundResponse)
        assert isinstance(guests[0].fetch("https://x.example"), OutboundFailure)

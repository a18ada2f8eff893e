"""Outbound requests of an execution, against servers on this machine: what is sent, what comes back, and the limits."""

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from uuid import uuid4

import pytest

from faas.outbound import OutboundClient, OutboundFailure, OutboundRequest, OutboundResponse
from faas.outbound.lifetime import TIMED_OUT
from faas.outbound.model import MAX_BODY_BYTES, MAX_REQUESTS, OutboundRecord
from faas.outbound.session import TOO_MANY, UNKNOWN
from tests.helpers.outbound_calls import Guest, wait_until
from tests.helpers.raw_server import Answer, RawServer, ReceivedRequest, answer
from tests.helpers.support import free_port


@pytest.fixture(scope="module")
def client() -> Iterator[OutboundClient]:
    client = OutboundClient()
    yield client
    client.close()


def echo(request: ReceivedRequest) -> list[bytes]:
    return answer(request.line.encode() + b"\n" + request.body, X_Echo="é")


def silent_until(release: threading.Event) -> Answer:
    """A server that closes the connection after `release`, without an answer."""

    def wait(_: ReceivedRequest) -> None:
        release.wait(20)

    return wait


def test_session_sends_a_request_and_returns_the_answer(client: OutboundClient) -> None:
    with RawServer(echo) as server:
        guest = Guest(client, [server.origin])
        request = OutboundRequest("POST", f"{server.origin}/a?b=c#d", (("X-Given", "ü"),), b"body\0\xff")
        assert guest.answer(request) == OutboundResponse(
            200, "OK", f"{server.origin}/a?b=c", False, (("content-length", "27"), ("x-echo", "Ã©")),
            b"POST /a?b=c HTTP/1.1\nbody\0\xff",
        )  # fmt: skip
        (received,) = server.requests
        assert received.headers == (
            ("host", server.origin.removeprefix("http://")), ("x-given", "ü"), ("accept", "*/*"),
            ("accept-encoding", "gzip, deflate"), ("user-agent", "faas"), ("content-length", "6"),
        )  # fmt: skip


def test_session_records_requests_without_queries(client: OutboundClient) -> None:
    with RawServer(echo) as server:
        guest = Guest(client, [server.origin])
        guest.fetch(f"{server.origin}/a?secret#secret")
        guest.fetch("https://user:secret@denied.example/b?secret")
        guest.fetch("https://denied.example/b?secret")
        assert [(one.method, one.url, one.status) for one in guest.records] == [
            ("GET", f"{server.origin}/a", 200),
            ("GET", "https://denied.example/b", None),
            ("GET", "https://denied.example/b", None),
        ]
        assert 0 < guest.records[0].milliseconds < 20_000
        assert guest.records[2].error is not None
        assert "secret" not in f"{guest.records}"


@pytest.mark.parametrize(
    "status", ["204 No Content", "304 Not Modified", "404 Not Found", "500 Oops", "599 \xff", "999 x"]
)
def test_session_returns_answers_of_any_status(client: OutboundClient, status: str) -> None:
    with RawServer(lambda _: [f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")]) as server:
        result = Guest(client, [server.origin]).answer(server.origin)
        assert (result.status, result.reason) == (int(status[:3]), status[4:])


def test_session_returns_the_headers_of_head(client: OutboundClient) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nContent-Encoding: gzip\r\n\r\n"
    with RawServer(lambda _: [head]) as server:
        result = Guest(client, [server.origin]).answer(OutboundRequest("HEAD", server.origin))
        assert result.headers == (("content-length", "1000"), ("content-encoding", "gzip"))
        assert result.body == b""


def test_session_decodes_bodies(client: OutboundClient) -> None:
    with RawServer(lambda _: answer(gzip.compress(b"text"), Content_Encoding="GZIP", X="1")) as server:
        result = Guest(client, [server.origin]).answer(server.origin)
        assert (result.headers, result.body) == ((("x", "1"),), b"text")
    with RawServer(lambda _: answer(b"other", Content_Encoding="br")) as server:
        result = Guest(client, [server.origin]).answer(server.origin)
        assert (result.headers, result.body) == ((("content-length", "5"), ("content-encoding", "br")), b"other")


def test_session_reads_chunked_bodies_and_those_that_end_with_the_connection(client: OutboundClient) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"
    with RawServer(lambda _: [chunked]) as server:
        assert Guest(client, [server.origin]).answer(server.origin).body == b"abcde"
    with RawServer(lambda request: [b"HTTP/1.0 200 OK\r\n\r\nabc"] if request.target == "/" else None) as server:
        guest = Guest(client, [server.origin])
        number = guest.session.start(OutboundRequest("GET", server.origin))
        wait_until(lambda: bool(server.requests))
        server.disconnect()
        result = guest.wait(number)
        assert isinstance(result, OutboundResponse)
        assert result.body in {b"abc", b""}


def test_session_waits_for_no_server(client: OutboundClient) -> None:
    release = threading.Event()

    def slow(_: ReceivedRequest) -> Iterable[bytes]:
        release.wait(20)
        return answer(b"late")

    with RawServer(slow) as server:
        guest = Guest(client, [server.origin])
        number = guest.session.start(OutboundRequest("GET", server.origin))
        assert guest.session.take(number) is None
        assert guest.wakes == 0
        release.set()
        assert isinstance(guest.wait(number), OutboundResponse)
        assert guest.wakes == 1
        assert guest.session.take(number) == UNKNOWN
        assert guest.session.take(number + 1) == UNKNOWN
        assert guest.session.take(-1) == UNKNOWN


def test_session_limits_the_number_of_requests(client: OutboundClient) -> None:
    with RawServer(echo) as server:
        guest = Guest(client, [server.origin])
        numbers = [guest.session.start(OutboundRequest("GET", server.origin)) for _ in range(MAX_REQUESTS + 50)]
        results = [guest.wait(number) for number in numbers]
        assert all(isinstance(result, OutboundResponse) for result in results[:MAX_REQUESTS])
        assert results[MAX_REQUESTS:] == [TOO_MANY] * 50
        assert len(server.requests) == MAX_REQUESTS
        assert [record.status for record in guest.records] == [200] * MAX_REQUESTS + [None]  # no record for each


def test_session_ends_with_its_execution(client: OutboundClient) -> None:
    release = threading.Event()
    with RawServer(silent_until(release)) as server:
        guest = Guest(client, [server.origin], seconds=0.2)
        started = time.monotonic()
        assert guest.failure(server.origin) == TIMED_OUT
        assert time.monotonic() - started < 5
        assert guest.records[0].milliseconds >= 190
        release.set()


def test_session_ends_where_the_answer_drips(client: OutboundClient) -> None:
    ended = threading.Event()

    def drip(_: ReceivedRequest) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        while not ended.wait(0.02):
            yield b"x"

    with RawServer(drip) as server:
        assert Guest(client, [server.origin], seconds=0.3).failure(server.origin) == TIMED_OUT
        assert server.disconnected.wait(10)
        ended.set()


def test_session_ends_where_the_server_reads_nothing(client: OutboundClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:  # accepts connections, as far as the kernel does
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        request = OutboundRequest("POST", origin, body=bytes(MAX_BODY_BYTES))
        assert Guest(client, [origin], seconds=0.3).failure(request) == TIMED_OUT
        accepted, _ = listening.accept()
        with accepted:
            accepted.settimeout(10)
            with contextlib.suppress(ConnectionResetError):  # the connection is closed, which both forms say
                while accepted.recv(1 << 20):
                    pass


def test_session_close_cancels_at_once(client: OutboundClient) -> None:
    ended = threading.Event()

    def never(_: ReceivedRequest) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"
        ended.wait(20)

    with RawServer(never) as server:
        guest = Guest(client, [server.origin])
        number = guest.session.start(OutboundRequest("GET", server.origin))
        wait_until(lambda: bool(server.requests))
        guest.session.close()
        guest.session.close()
        (record,) = guest.records
        assert (record.status, record.error) == (None, "the execution ended before the answer was there")
        assert isinstance(guest.session.take(number), OutboundFailure)
        assert isinstance(
            guest.session.take(guest.session.start(OutboundRequest("GET", server.origin))), OutboundFailure
        )
        ended.set()
        assert server.disconnected.wait(10)
        assert guest.wakes == 0
        assert len(server.requests) == 1


def test_session_close_before_the_request_begins_sends_nothing(client: OutboundClient) -> None:
    with RawServer(echo) as server:
        for _ in range(50):
            guest = Guest(client, [server.origin])
            guest.session.start(OutboundRequest("GET", server.origin))
            guest.session.close()
            assert len(guest.records) == 1
        assert isinstance(Guest(client, [server.origin]).fetch(server.origin), OutboundResponse)


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], "did not answer in HTTP/1.1"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"], "did not answer in HTTP/1.1"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"], "did not answer in HTTP/1.1"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"], "did not answer in HTTP/1.1"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"], "did not answer in HTTP/1.1"),
        ([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"], "did not answer in HTTP/1.1"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000], "headers of the answer are larger"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000], "headers of the answer are larger"),
        ([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\ntext"], "not valid gzip"),
    ],
)
def test_session_fails_for_answers_that_are_none(client: OutboundClient, pieces: list[bytes], message: str) -> None:
    with RawServer(lambda _: pieces) as server:
        assert message in Guest(client, [server.origin]).failure(server.origin)


def test_session_fails_where_the_server_closes(client: OutboundClient) -> None:
    with RawServer(lambda _: None) as server:
        message = Guest(client, [server.origin]).failure(server.origin)
        assert "closed the connection" in message or "disconnected" in message
        assert len(server.requests) == 1
    port = free_port()
    assert "refused" in Guest(client, [f"http://127.0.0.1:{port}"]).failure(f"http://127.0.0.1:{port}")


def test_session_fails_for_answers_that_are_too_large(client: OutboundClient) -> None:
    sent = 0

    def endless(_: ReceivedRequest) -> Iterable[bytes]:
        nonlocal sent
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"10000\r\n" + bytes(0x10000) + b"\r\n"
            sent += 0x10000

    with RawServer(endless) as server:
        assert "larger than 6 MiB" in Guest(client, [server.origin]).failure(server.origin)
        assert server.disconnected.wait(10)
        assert sent < 3 * MAX_BODY_BYTES


def test_session_fails_for_bombs(client: OutboundClient) -> None:
    bomb = gzip.compress(bytes(200 << 20), 9)
    with RawServer(lambda _: answer(bomb, Content_Encoding="gzip")) as server:
        assert "larger than 6 MiB" in Guest(client, [server.origin]).failure(server.origin)


def test_session_takes_bodies_of_six_mebibytes_both_ways(client: OutboundClient) -> None:
    with RawServer(lambda request: answer(request.body)) as server:
        guest = Guest(client, [server.origin])
        assert guest.answer(OutboundRequest("PUT", server.origin, body=bytes(MAX_BODY_BYTES))).body == bytes(
            MAX_BODY_BYTES
        )
        assert "6 MiB" in guest.failure(OutboundRequest("PUT", server.origin, body=bytes(MAX_BODY_BYTES + 1)))
        assert len(server.requests) == 1


@pytest.fixture
def small_client() -> Iterator[OutboundClient]:
    """A client that may hold a mebibyte of bodies."""
    client = OutboundClient(max_held_bytes=1 << 20)
    yield client
    client.close()


def test_session_bodies_are_bounded_in_all(small_client: OutboundClient) -> None:
    with RawServer(lambda request: answer(bytes(600 << 10) if request.target == "/big" else b"small")) as server:
        first, second = (Guest(small_client, [server.origin], function_id=uuid4()) for _ in range(2))
        number = first.session.start(OutboundRequest("GET", f"{server.origin}/big"))
        assert first.woken.wait(20)
        message = "the bodies of outbound requests take 1 MiB of this server already; try again later"
        assert second.failure(f"{server.origin}/big") == message
        assert second.failure(OutboundRequest("POST", server.origin, body=bytes(600 << 10))) == message
        assert second.answer(server.origin).body == b"small"
        assert isinstance(first.wait(number), OutboundResponse)  # the guest takes the answer, and has to hold it now
        assert len(second.answer(f"{server.origin}/big").body) == 600 << 10
        assert small_client.memory.held == 0


def test_session_close_releases_bodies(small_client: OutboundClient) -> None:
    with RawServer(lambda _: answer(bytes(600 << 10))) as server:
        for _ in range(3):
            guest = Guest(small_client, [server.origin])
            guest.session.start(OutboundRequest("GET", server.origin))
            assert guest.woken.wait(20)
            assert small_client.memory.held == 600 << 10
            guest.session.close()
            assert small_client.memory.held == 0


def test_session_redirects_hold_one_answer(small_client: OutboundClient) -> None:
    def redirect(request: ReceivedRequest) -> list[bytes]:
        if request.target == "/5":
            return answer(b"end")
        head = f"HTTP/1.1 307 x\r\nLocation: /{int(request.target[1:]) + 1}\r\nContent-Length: {400 << 10}\r\n\r\n"
        return [head.encode(), bytes(400 << 10)]

    with RawServer(redirect) as server:
        guest = Guest(small_client, [server.origin])
        request = OutboundRequest("POST", f"{server.origin}/1", body=bytes(400 << 10))
        assert guest.answer(request).body == b"end"
        assert small_client.memory.held == 0


def test_session_small_chunks_of_one_function_leave_others_their_time(client: OutboundClient) -> None:
    def drops(_: ReceivedRequest) -> Iterable[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        while True:
            yield b"1\r\nx\r\n" * 5_000

    with RawServer(drops) as hostile, RawServer(echo) as server:
        attacker = Guest(client, [hostile.origin], seconds=3, function_id=uuid4())
        number = attacker.session.start(OutboundRequest("GET", hostile.origin))
        wait_until(lambda: bool(hostile.requests))
        times: list[float] = []
        while attacker.session.take(number) is None and len(times) < 100:
            started = time.monotonic()
            Guest(client, [server.origin]).answer(server.origin)
            times.append(time.monotonic() - started)
        attacker.session.close()
        assert len(times) > 20
        assert sorted(times)[len(times) // 2] < 0.25


def test_session_two_hundred_wait_together(client: OutboundClient) -> None:
    together = threading.Barrier(200)

    def wait_for_all(_: ReceivedRequest) -> Iterable[bytes]:
        together.wait(20)
        time.sleep(1)  # the time that the server takes is what this measures
        return answer(b"done")

    with RawServer(wait_for_all) as server:
        guests = [Guest(client, [server.origin]) for _ in range(200)]
        started = time.monotonic()
        numbers = [guest.session.start(OutboundRequest("GET", server.origin)) for guest in guests]
        results = [guest.wait(number) for guest, number in zip(guests, numbers, strict=True)]
        elapsed = time.monotonic() - started
        assert all(isinstance(result, OutboundResponse) and result.body == b"done" for result in results), results
        assert elapsed < 5  # about 1.3 s, and 200 s where they wait one after the other


def test_client_close_ends_requests_and_refuses_others() -> None:
    client = OutboundClient()
    release = threading.Event()
    with RawServer(silent_until(release)) as server:
        guest = Guest(client, [server.origin])
        number = guest.session.start(OutboundRequest("GET", server.origin))
        wait_until(lambda: bool(server.requests))
        client.close()
        client.close()
        assert isinstance(guest.wait(number), OutboundFailure)
        assert isinstance(guest.wait(guest.session.start(OutboundRequest("GET", server.origin))), OutboundFailure)
        release.set()
    assert "outbound" not in {thread.name for thread in threading.enumerate() if thread is client._thread}


def test_client_without_requests_has_no_thread() -> None:
    client = OutboundClient()
    guest = Guest(client, ["https://a.example"])
    guest.fetch("https://denied.example")
    guest.session.close()
    assert client._thread is None
    client.close()
    assert isinstance(guest.records[0], OutboundRecord)

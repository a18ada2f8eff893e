"""Tests of the load generator with a fixed rate, against a small server."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import steady
from bench.failure import BenchmarkFailed

BODY = b'{"input":{}}'


@contextmanager
def answering(answer: Callable[[int], int]) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Serve with the status `answer(n)` for the nth request; yield the address and the received requests."""
    received: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            received.append((self.path, body))
            self.send_response(answer(len(received)))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_post_sends_each_request_once_with_alternating_paths() -> None:
    with answering(lambda _: 200) as (url, received):
        run = await asyncio.to_thread(steady.post, url, ["/a", "/b"], BODY, connections=3, count=20, rate=None)
    assert run.requests == 20
    assert sorted(path for path, _ in received) == ["/a"] * 10 + ["/b"] * 10
    assert {body for _, body in received} == {BODY}
    assert 0 < run.median <= run.p99


async def test_get_sends_one_request_after_another_without_a_body() -> None:
    with answering(lambda _: 200) as (url, received):
        run = await asyncio.to_thread(steady.get, url, ["/a", "/b"], count=5)
    assert run.requests == 5
    assert received == [("/a", b""), ("/b", b""), ("/a", b""), ("/b", b""), ("/a", b"")]


async def test_post_keeps_the_rate() -> None:
    with answering(lambda _: 200) as (url, _):
        run = await asyncio.to_thread(steady.post, url, ["/"], BODY, connections=4, count=21, rate=100)
    assert run.seconds >= 0.2  # the last is due 20 hundredths after the first


async def test_post_counts_a_stall_for_every_request_due_during_it() -> None:
    def answer(number: int) -> int:
        if number == 1:
            time.sleep(0.5)
        return 200

    with answering(answer) as (url, _):
        run = await asyncio.to_thread(steady.post, url, ["/"], BODY, connections=1, count=11, rate=100)
    assert run.p99 >= 500
    assert run.median >= 400  # the sixth was due 50 ms after the first, and had to wait for it


async def test_post_ends_with_an_answer_other_than_200() -> None:
    with (
        answering(lambda number: 503 if number == 3 else 200) as (url, _),
        pytest.raises(BenchmarkFailed, match="503"),
    ):
        await asyncio.to_thread(steady.post, url, ["/"], BODY, connections=1, count=5, rate=None)

"""The load source with a rate of its own, against a server of a few lines."""

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
    """The address of a server whose nth answer has the status `answer(n)`, and what it was asked."""
    asked: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, body))
            self.send_response(answer(len(asked)))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_every_request_is_made_once_and_the_paths_take_turns() -> None:
    with answering(lambda _: 200) as (url, asked):
        run = await asyncio.to_thread(steady.post, url, ["/a", "/b"], BODY, connections=3, count=20, rate=None)
    assert run.requests == 20
    assert sorted(path for path, _ in asked) == ["/a"] * 10 + ["/b"] * 10
    assert {body for _, body in asked} == {BODY}
    assert 0 < run.median <= run.p99


async def test_requests_keep_to_their_times() -> None:
    with answering(lambda _: 200) as (url, _):
        run = await asyncio.to_thread(steady.post, url, ["/"], BODY, connections=4, count=21, rate=100)
    assert run.seconds >= 0.2  # the last is due 20 hundredths after the first


async def test_a_stall_is_charged_to_all_that_came_due_meanwhile() -> None:
    def answer(number: int) -> int:
        if number == 1:
            time.sleep(0.5)
        return 200

    with answering(answer) as (url, _):
        run = await asyncio.to_thread(steady.post, url, ["/"], BODY, connections=1, count=11, rate=100)
    assert run.p99 >= 500
    assert run.median >= 400  # the sixth was due 50 ms after the first, and had to wait for it


async def test_an_answer_that_is_not_200_ends_it() -> None:
    with (
        answering(lambda number: 503 if number == 3 else 200) as (url, _),
        pytest.raises(BenchmarkFailed, match="503"),
    ):
        await asyncio.to_thread(steady.post, url, ["/"], BODY, connections=1, count=5, rate=None)

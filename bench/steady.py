"""Open-loop load at a fixed rate, which wrk does not support.

One thread uses plain sockets and select(2), whose timeout is in microseconds. A request costs the client about 40 µs:
1,250 per second take a twentieth of a core from the server. Requests are due at fixed times, whether earlier ones have
been answered or not, and latency counts from the due time: a stall counts for all requests that were due during it.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from statistics import median
from urllib.parse import urlsplit

import msgspec

from bench.failure import BenchmarkFailed
from bench.stats import percentile

_ANSWER_TIMEOUT_SECONDS = 30.0
_RUN_TIMEOUT_SECONDS = 400.0
_HEAD_END = b"\r\n\r\n"


class Steady(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a run. Latencies are in milliseconds; `lag_p99` is how late the client itself sent its requests."""

    requests: int
    seconds: float
    median: float
    p99: float
    greatest: float
    lag_p99: float


def post(url: str, paths: Sequence[str], body: bytes, *, connections: int, count: int, rate: float | None) -> Steady:
    """POST `body` `count` times to `paths` in turn, at `rate` per second; without a rate as soon as answers arrive.

    Raises BenchmarkFailed if an answer is not 200, if none arrives for 30 s, or if the run takes more than 400 s.
    """
    requests = [_request("POST", url, path, body) for path in paths]
    return _send(url, requests, connections, count, rate)


def get(url: str, paths: Sequence[str], *, count: int) -> Steady:
    """GET `count` times `paths` in turn, one after another. Raises BenchmarkFailed as `post` does."""
    return _send(url, [_request("GET", url, path) for path in paths], 1, count, None)


def _send(url: str, requests: list[bytes], connections: int, count: int, rate: float | None) -> Steady:
    parts = urlsplit(url)
    sockets = [_connect((parts.hostname or "127.0.0.1", parts.port or 80)) for _ in range(connections)]
    try:
        return _Run(sockets, requests, count, rate).go()
    finally:
        for connection in sockets:
            connection.close()


def _request(method: str, url: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n".encode() + body


def _connect(address: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(address, timeout=_ANSWER_TIMEOUT_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class _Run:
    def __init__(self, sockets: list[socket.socket], requests: list[bytes], count: int, rate: float | None) -> None:
        self._free = deque(sockets)
        self._requests = requests
        self._count = count
        self._spacing = 1 / rate if rate else 0.0
        self._due: dict[socket.socket, float] = {}  # connection in use → due time of its request
        self._received: dict[socket.socket, bytes] = {}
        self._latencies: list[float] = []
        self._lags: list[float] = []
        self._sent = 0

    def go(self) -> Steady:
        began = time.perf_counter()
        while len(self._latencies) < self._count:
            waiting = self._send_due(began)
            readable, _, _ = select.select(list(self._due), [], [], min(waiting, _ANSWER_TIMEOUT_SECONDS))
            for connection in readable:
                self._receive(connection)
            if not readable and waiting >= _ANSWER_TIMEOUT_SECONDS:
                raise BenchmarkFailed(f"no answer within {_ANSWER_TIMEOUT_SECONDS:g} s")
            if time.perf_counter() - began > _RUN_TIMEOUT_SECONDS:
                raise BenchmarkFailed(
                    f"{len(self._latencies)} of {self._count} answers within {_RUN_TIMEOUT_SECONDS:g} s"
                )
        return Steady(
            requests=self._count,
            seconds=time.perf_counter() - began,
            median=median(self._latencies) * 1000,
            p99=percentile(self._latencies, 0.99) * 1000,
            greatest=max(self._latencies) * 1000,
            lag_p99=percentile(self._lags, 0.99) * 1000,
        )

    def _send_due(self, began: float) -> float:
        """Send the requests that are due while connections are free; return the seconds until the next is due."""
        while self._free and self._sent < self._count:
            now = time.perf_counter()
            due = began + self._sent * self._spacing if self._spacing else now
            if due > now:
                return due - now
            connection = self._free.popleft()
            connection.sendall(self._requests[self._sent % len(self._requests)])
            self._due[connection] = due
            self._lags.append(now - due)
            self._sent += 1
        return _ANSWER_TIMEOUT_SECONDS

    def _receive(self, connection: socket.socket) -> None:
        data = self._received.pop(connection, b"") + connection.recv(1 << 16)
        if not is_complete(data):
            self._received[connection] = data
            return
        if not data.startswith(b"HTTP/1.1 200"):
            raise BenchmarkFailed(f"not a 200: {data[:300]!r}")
        self._latencies.append(time.perf_counter() - self._due.pop(connection))
        self._free.append(connection)


def is_complete(data: bytes) -> bool:
    """Return whether `data` is a complete response. Raises BenchmarkFailed if it has no Content-Length."""
    end = data.find(_HEAD_END)
    if end < 0:
        if not data:
            raise BenchmarkFailed("the server closed the connection")
        return False
    head = data[:end].lower()
    at = head.find(b"content-length:")
    if at < 0:
        raise BenchmarkFailed(f"an answer without Content-Length: {data[:300]!r}")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0])
    return len(data) >= end + len(_HEAD_END) + length

"""Load at a rate of our own choosing, which wrk does not have.

One thread, plain sockets and select(2), whose timeout is in microseconds: a request costs this side some 40 µs, so that
1,250 a second take a twentieth of a core from the server. Requests are due at fixed times, whether or not earlier ones
have been answered, and a latency counts from when its request was due: a server that stalls is charged for all that
became due during the stall.
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

_PATIENCE = 30.0  # seconds without any answer
_LONGEST = 400.0  # seconds for all of them
_HEAD_END = b"\r\n\r\n"


class Steady(msgspec.Struct, frozen=True, kw_only=True):
    """What a run saw. Latencies in milliseconds; `lag_p99` is how late this side itself was with its requests."""

    requests: int
    seconds: float
    median: float
    p99: float
    lag_p99: float


def post(url: str, paths: Sequence[str], body: bytes, *, connections: int, count: int, rate: float | None) -> Steady:
    """POST `body` `count` times to `paths` in turn, at `rate` a second, or without one as fast as answers come.

    Raises BenchmarkFailed where an answer is not 200, none comes for 30 s, or all take more than 400 s.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    requests = [_request(f"{address[0]}:{address[1]}", path, body) for path in paths]
    sockets = [_connect(address) for _ in range(connections)]
    try:
        return _Run(sockets, requests, count, rate).go()
    finally:
        for connection in sockets:
            connection.close()


def _request(host: str, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _connect(address: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(address, timeout=_PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class _Run:
    def __init__(self, sockets: list[socket.socket], requests: list[bytes], count: int, rate: float | None) -> None:
        self._free = deque(sockets)
        self._requests = requests
        self._count = count
        self._spacing = 1 / rate if rate else 0.0
        self._due: dict[socket.socket, float] = {}  # of the connections in use: when their request was due
        self._received: dict[socket.socket, bytes] = {}
        self._latencies: list[float] = []
        self._lags: list[float] = []
        self._sent = 0

    def go(self) -> Steady:
        began = time.perf_counter()
        while len(self._latencies) < self._count:
            waiting = self._send_due(began)
            readable, _, _ = select.select(list(self._due), [], [], min(waiting, _PATIENCE))
            for connection in readable:
                self._receive(connection)
            if not readable and waiting >= _PATIENCE:
                raise BenchmarkFailed(f"no answer within {_PATIENCE:g} s")
            if time.perf_counter() - began > _LONGEST:
                raise BenchmarkFailed(f"{len(self._latencies)} of {self._count} answers within {_LONGEST:g} s")
        return Steady(
            requests=self._count,
            seconds=time.perf_counter() - began,
            median=median(self._latencies) * 1000,
            p99=percentile(self._latencies, 0.99) * 1000,
            lag_p99=percentile(self._lags, 0.99) * 1000,
        )

    def _send_due(self, began: float) -> float:
        """Send what is due and has a free connection; the seconds until there is something to send again."""
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
        return _PATIENCE

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
    """Whether `data` is a whole response with a Content-Length. Raises BenchmarkFailed where it cannot become one."""
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

"""A server for tests of HTTP clients: it answers with the very bytes that a test gives it."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import BinaryIO

import msgspec


class ReceivedRequest(msgspec.Struct, frozen=True):
    """A request as it came: its first line, its headers in their order, its body."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def header(self, name: str) -> str | None:
        """The first header of this name, given in lower case."""
        return next((value for given, value in self.headers if given.lower() == name), None)


# Returns the bytes of the answer, in pieces as they are to be sent. The connection stays open after them, unless the
# answer is None.
Answer = Callable[[ReceivedRequest], Iterable[bytes] | None]


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> list[bytes]:
    """Return an answer with a length. Underscores in names of headers become hyphens."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode() + body]


class RawServer:
    """A server on 127.0.0.1, or on another address, with a thread for each connection; a context manager."""

    def __init__(self, answer: Answer, *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._tls = tls
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listening = socket.create_server((address, 0), family=family, backlog=512)
        self.port: int = self._listening.getsockname()[1]
        scheme, host = "https" if tls else "http", f"[{address}]" if ":" in address else address
        self.origin = f"{scheme}://{host}:{self.port}"
        self.requests: list[ReceivedRequest] = []
        self.connections = 0
        self.disconnected = threading.Event()  # set whenever a client has closed a connection
        self._open: set[socket.socket] = set()
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> "RawServer":
        self._accepting.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.disconnect()
        self._accepting.join()

    def disconnect(self) -> None:
        """Close all connections."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            served = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            served.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with served, served.makefile("rb") as stream:
                for request in _read_requests(stream):
                    self.requests.append(request)
                    pieces = self._answer(request)
                    if pieces is None:
                        return
                    for piece in pieces:
                        served.sendall(piece)
        self._open.discard(connection)
        self.disconnected.set()


def _read_requests(stream: BinaryIO) -> Iterator[ReceivedRequest]:
    while line := stream.readline():
        headers = []
        while (header := stream.readline().decode("latin-1").rstrip("\r\n")) != "":
            name, _, value = header.partition(":")
            headers.append((name, value.strip()))
        length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
        yield ReceivedRequest(line.decode("latin-1").rstrip("\r\n"), tuple(headers), stream.read(length))

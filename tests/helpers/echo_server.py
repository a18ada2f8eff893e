"""A server on 127.0.0.1 that functions in tests make requests to."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


class _Handler(BaseHTTPRequestHandler):
    """Answers with what it gets, as JSON. The query says otherwise: `status`, `to` (of a redirect), `type`, `body`.

    A query with `wait` is answered after so many seconds, or when the server ends, and one with `parties` when so many of
    them are there. /bytes answers with the body of the request, or all 256 bytes where there is none; /cookies has two
    cookies, and texts in Latin-1 and UTF-8.
    """

    protocol_version = "HTTP/1.1"
    server: "EchoServer"

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True, encoding="latin-1"))
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        if "wait" in query:
            self.server.ended.wait(float(query["wait"]))
        if "parties" in query:
            self.server.meet(int(query["parties"]))
        self.server.last_headers = {name.lower(): value for name, value in self.headers.items()}
        echoed = {
            "method": self.command,
            "path": parts.path,
            "query": query,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": content.decode("latin-1"),
        }
        if parts.path == "/bytes":
            self._send(200, {"content-type": "application/octet-stream"}, content or bytes(range(256)))
        elif parts.path == "/cookies":
            self._send(200, {"set-cookie": ["a=1; Path=/", "b=2, 3"], "x-note": "cap\u00e9"}, b"cap\xc3\xa9")
        else:
            status = int(query.get("status", 302 if "to" in query else 200))
            headers: dict[str, str | list[str]] = {
                "content-type": query.get("type", "application/json"),
                "set-cookie": ["a=1", "b=2"],
            }
            if "to" in query:
                headers["location"] = query["to"]
            body = query["body"].encode("latin-1") if "body" in query else json.dumps(echoed).encode()
            self._send(status, headers, body)

    def _send(self, status: int, headers: dict[str, str | list[str]], body: bytes) -> None:
        self.send_response(status)
        for name, values in headers.items():
            for value in values if isinstance(values, list) else [values]:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing."""


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
    setattr(_Handler, f"do_{_method}", _Handler._answer)


class EchoServer(ThreadingHTTPServer):
    """The server. `last_headers` are those of the last request, by their names in lower case."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.ended = threading.Event()
        self.last_headers: dict[str, str] = {}
        self._barriers: dict[int, threading.Barrier] = {}

    def meet(self, parties: int) -> None:
        """Wait until `parties` requests wait here. Raises BrokenBarrierError, which closes the connection."""
        self._barriers.setdefault(parties, threading.Barrier(parties)).wait(20)

    @property
    def origin(self) -> str:
        """The origin of the server."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def echo_server() -> Iterator[str]:
    """Run the server, and yield its origin."""
    with serve_echo() as server:
        yield server.origin


@contextmanager
def serve_echo() -> Iterator[EchoServer]:
    """Run the server."""
    server = EchoServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()

"""An HTTP server on 127.0.0.1 that answers with what it was asked."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if "wait" in query:  # the answer takes as many seconds
            time.sleep(float(query["wait"]))
        if url.path == "/redirect":
            self._answer(302, {"location": "/echo?redirected=1"}, b"")
        elif url.path == "/bytes":
            self._answer(200, {"content-type": "application/octet-stream"}, body or bytes(range(256)))
        elif url.path == "/empty":
            self._answer(204, {}, b"")
        elif url.path == "/cookies":
            self._answer(200, {"set-cookie": ["a=1; Path=/", "b=2, 3"], "x-note": "cap\u00e9"}, b"cap\xc3\xa9")
        else:
            document = {
                "method": self.command,
                "path": url.path,
                "query": query,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body.decode("latin-1"),
            }
            self._answer(
                int(query.get("status", 200)), {"content-type": "application/json"}, json.dumps(document).encode()
            )

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_GET  # noqa: N815 - names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _answer(self, status: int, headers: dict[str, str | list[str]], body: bytes) -> None:
        self.send_response(status)
        for name, values in headers.items():
            for value in values if isinstance(values, list) else [values]:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def web_server() -> Iterator[str]:
    """Run a server in a thread, and yield its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

"""http.client and urllib.request on outbound requests: their connections have an exchange in place of a socket.

Everything above that is their own code, so that requests, redirects, responses and errors are as everywhere.
"""

import io
from types import ModuleType
from typing import Any

from . import outbound

_OF_THE_HOST = {
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "transfer-encoding",
}  # headers that it sets
_OF_ONE_ORIGIN = {"authorization", "cookie", "proxy-authorization"}  # headers that no other origin gets
_NO_PROXY = "functions reach servers directly: a proxy cannot be used"


class Exchange:
    """Takes a request in the form of HTTP/1.1, and makes it when it is complete. Stands for a socket."""

    def __init__(self, origin: str, timeout: float | None) -> None:
        self._origin = origin
        self._timeout = timeout
        self._line = ""
        self._headers: outbound.Headers = []
        self._received = bytearray()  # of the head, then of the body
        self._answer = b""

    def sendall(self, data: Any) -> None:
        """Take a part of the request. Raises RequestError and TimeoutError with the last part."""
        self._received += data
        if not self._line:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            self._line, *fields = head.decode("latin-1").replace("\r\n\t", " ").split("\r\n")
            self._headers = [_field(field) for field in fields]
            self._received = rest
        body = _body(self._received, dict(self._headers))
        if body is not None:
            line, self._line, self._received = self._line, "", bytearray()
            self._request(line, self._headers, body)

    def _request(self, line: str, headers: outbound.Headers, body: bytes) -> None:
        method, target, _ = line.split(" ")
        if not target.startswith("/"):
            raise OSError(_NO_PROXY)
        sent = [(name, value) for name, value in headers if name not in _OF_THE_HOST]
        answer = outbound.send(method, self._origin + target, sent, body, redirect="manual", timeout=self._timeout)
        lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
        has_length = method == "HEAD"  # it is that of the body that is not there
        lines += [f"{n}: {v}" for n, v in answer.headers if n not in _OF_THE_HOST or (has_length and n != "connection")]
        if not has_length:
            lines.append(f"content-length: {len(answer.body)}")
        self._answer = "\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body

    def makefile(self, *_arguments: object, **_options: object) -> io.BytesIO:
        """Return the response in the form of HTTP/1.1."""
        return io.BytesIO(self._answer)

    def settimeout(self, timeout: float | None) -> None:
        """Set how many seconds the next request waits for its response."""
        self._timeout = timeout

    def setsockopt(self, *_arguments: object) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def _field(field: str) -> tuple[str, str]:
    name, _, value = field.partition(":")
    return name.lower(), value.strip()


def _body(received: bytearray, headers: dict[str, str]) -> bytes | None:
    """Return the body of a request, or None while parts of it are missing."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _joined_chunks(received) if received.endswith(b"0\r\n\r\n") else None
    length = int(headers.get("content-length", 0))
    return bytes(received[:length]) if len(received) >= length else None


def _joined_chunks(received: bytearray) -> bytes | None:
    """Return the content of all chunks, or None where the last one is missing."""
    body, position = bytearray(), 0
    while (end := received.find(b"\r\n", position)) >= 0:
        size = int(received[position:end], 16)
        if size == 0:
            return bytes(body)
        body += received[end + 2 : end + 2 + size]
        position = end + 2 + size + 2
    return None


def replace(module: ModuleType) -> None:
    """Let the connections of http.client make outbound requests, over TLS too: the host verifies certificates."""

    def connect(self: Any) -> None:
        if self._tunnel_host:
            raise OSError(_NO_PROXY)
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == self.default_port else f":{self.port}"
        timeout = self.timeout if isinstance(self.timeout, (int, float)) else module.socket.getdefaulttimeout()
        self.sock = Exchange(f"{self._scheme}://{host}{port}", timeout)

    class HTTPSConnection(module.HTTPConnection):  # type: ignore[name-defined,misc]
        default_port = module.HTTPS_PORT
        _scheme = "https"

        def __init__(self, host: str, port: int | None = None, *, context: object = None, **options: Any) -> None:
            super().__init__(host, port, **options)

    module.HTTPConnection._scheme = "http"
    module.HTTPConnection.connect = connect
    module.HTTPSConnection = HTTPSConnection  # type: ignore[attr-defined]
    module._create_https_context = lambda _version: None  # type: ignore[attr-defined] # of urllib.request


def replace_urllib(module: ModuleType) -> None:
    """Let urllib.request ignore proxies of the environment, and keep credentials for their origin at a redirect."""
    plain_redirect = module.HTTPRedirectHandler.redirect_request

    def redirect_request(self: Any, request: Any, *arguments: Any) -> Any:
        made = plain_redirect(self, request, *arguments)
        if made is not None and (made.type, made.host) != (request.type, request.host):
            for name in [name for name in made.headers if name.lower() in _OF_ONE_ORIGIN]:
                del made.headers[name]
        return made

    module.HTTPRedirectHandler.redirect_request = redirect_request
    module.getproxies = dict  # type: ignore[attr-defined]

"""Requests of web pages of other origins: refused where they change or run something, unless the origin is listed.

A browser sends a page's request without asking first when it looks like that of a form, and attaches where it comes
from: `Origin` to all but GET and HEAD, and `Sec-Fetch-Site` to all that it sends to HTTPS or loopback addresses. A page
can set neither. Programs send neither, and are not affected. What a page may read of answers is decided by CORS
(https://fetch.spec.whatwg.org/#http-cors-protocol): nothing, unless its origin is listed.
"""

from collections.abc import Iterable

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from faas.api import problems
from faas.api.middleware.request_id import request_id_of
from faas.api.responses import Answer, send_answer
from faas.web_origin import origin_of

# Requests with one of these come from browsers; the fast path leaves them to this middleware.
BROWSER_HEADERS = frozenset({b"origin", b"sec-fetch-site"})

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})  # they change nothing (RFC 9110, section 9.2.1)
_OWN_SITES = frozenset({b"same-origin", b"none"})  # a page of the server itself, the user with the address bar
_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Request-Id",
    "Access-Control-Max-Age": "3600",
}
_EXPOSED = b"Location, Link, Retry-After, X-Request-Id, RateLimit, RateLimit-Policy"
_SHOWN_CHARACTERS = 200


class CrossOriginMiddleware:
    """ASGI middleware that refuses unsafe requests of foreign origins, and answers those that are listed with CORS.

    Tokens go in `Authorization`, never in cookies, so answers do not allow credentials.
    """

    def __init__(self, app: ASGIApp, listed_origins: Iterable[str]) -> None:
        """`listed_origins` are as browsers send them (`faas.web_origin.parse_origin`)."""
        self._app = app
        self._listed = frozenset(origin.encode() for origin in listed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if its origin may send it, with the headers of CORS if its origin is listed."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        headers = _BrowserHeaders(scope)
        if self._listed:
            send = _with_cors(send, headers.origin if headers.origin in self._listed else b"")
        if headers.origin in self._listed:
            if scope["method"] == "OPTIONS" and headers.is_preflight:
                await send_answer(send, Answer(204, b"", headers=_PREFLIGHT_HEADERS))
                return
        elif scope["method"] not in _SAFE_METHODS and (found := headers.foreign(scope)):
            await send_answer(send, _refuse(scope, found))
            return
        await self._app(scope, receive, send)


def is_foreign(scope: HTTPScope) -> bool:
    """Return whether a browser has sent the request for a web page of another origin."""
    return bool(_BrowserHeaders(scope).foreign(scope))


class _BrowserHeaders:
    """What a request says about the page that it comes from."""

    def __init__(self, scope: HTTPScope) -> None:
        self._origins: list[bytes] = []
        self._sites: list[bytes] = []
        self._host = b""
        self.is_preflight = False
        for name, value in scope["headers"]:
            if name == b"origin":
                self._origins.append(value)
            elif name == b"sec-fetch-site":
                self._sites.append(value)
            elif name == b"host":
                self._host = value
            elif name == b"access-control-request-method":
                self.is_preflight = True

    @property
    def origin(self) -> bytes:
        """The origin, b"" if there is none or more than one."""
        return self._origins[0] if len(self._origins) == 1 else b""

    def foreign(self, scope: HTTPScope) -> str:
        """Return the header that shows another origin than the server's own, "" if there is none."""
        if not self._origins:
            other = next((site for site in self._sites if site not in _OWN_SITES), None)
            return "" if other is None else _shown("Sec-Fetch-Site", other)
        if self._sites == [b"same-origin"] and self.origin not in {b"", b"null"}:
            return ""  # behind a proxy that ends TLS, the scheme that the server sees is not the browser's
        if self.origin.lower() == _own_origin(scope["scheme"], self._host):
            return ""
        return _shown("Origin", b", ".join(self._origins))


def _own_origin(scheme: str, host: bytes) -> bytes:
    name, separator, port = host.decode("latin-1").lower().rpartition(":")
    if separator and port.isascii() and port.isdigit():
        return origin_of(scheme, name, int(port[:6])).encode("latin-1")
    return f"{scheme}://{host.decode('latin-1').lower()}".encode("latin-1")


def _shown(name: str, value: bytes) -> str:
    return f"{name}: {value.decode('latin-1')[:_SHOWN_CHARACTERS]!r}"


def _refuse(scope: HTTPScope, found: str) -> Answer:
    detail = (
        f"{found}: a web page of another origin may not send {scope['method']}; "
        "--cors-origins (FAAS_CORS_ORIGINS) lists the origins that may"
    )
    return problems.answer_problem(
        problems.CROSS_ORIGIN, detail, request_id=request_id_of(scope), instance=scope["path"]
    )


def _with_cors(send: Send, allowed_origin: bytes) -> Send:
    """Return `send` with the headers of CORS for `allowed_origin`; without them if it is b""."""
    # A cache must not give an answer without these headers to a page that needs them.
    added = [(b"vary", b"Origin")]
    if allowed_origin:
        added += [(b"access-control-allow-origin", allowed_origin), (b"access-control-expose-headers", _EXPOSED)]

    async def send_with_cors(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *added]
        await send(message)

    return send_with_cors

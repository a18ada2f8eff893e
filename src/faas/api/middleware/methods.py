"""HEAD wherever there is GET, and OPTIONS that names all that a path allows: litestar's names one route's."""

from typing import Literal

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

_NOBODYS: Literal["TRACE"] = "TRACE"  # no route has it: what it is refused with says which methods the path has


class Methods:
    """ASGI middleware that answers HEAD as its GET, whose body the HTTP server leaves out, and OPTIONS."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or another in its place."""
        if scope["type"] != ScopeType.HTTP or scope["method"] not in {"HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
        elif scope["method"] == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, send)  # a copy: the server goes by its own
        else:
            await self._app({**scope, "method": _NOBODYS}, receive, _Options(send))


class _Options:
    """Sends a refusal of the method as the answer to the question which ones there are."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._refused = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 405:
            self._refused = True
            message["status"] = 204
            message["headers"] = [(name, value) for name, value in message["headers"] if name.lower() == b"allow"]
        elif message["type"] == "http.response.body" and self._refused:
            message["body"] = b""
        await self._send(message)

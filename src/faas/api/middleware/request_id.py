"""`X-Request-Id`: the client's when it is one, else ours; on every response, every problem and every log line."""

import re

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

_ACCEPTED = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_KEY = "faas_request_id"


def request_id_of(scope: Scope) -> str:
    """The id of the request in `scope`."""
    request_id: str = scope.get("state", {}).get(_KEY, "")
    return request_id


def encoded_id(given: bytes) -> bytes:
    """The id of a request whose client has `given` one, or b"" for none."""
    return given if given and _ACCEPTED.fullmatch(given) else str(uuid7()).encode()


def bind(scope: Scope, encoded: bytes) -> None:
    """Have the id in `scope`, and in each log line of this context: a request has a context of its own."""
    request_id = encoded.decode()
    scope.setdefault("state", {})[_KEY] = request_id
    structlog.contextvars.bind_contextvars(request_id=request_id)


class RequestIds:
    """ASGI middleware around the whole application: also what no route answers has its id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind the id while the request is served."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        given = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                given = value
                break
        encoded = encoded_id(given)
        bind(scope, encoded)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-request-id", encoded)]
            await send(message)

        await self._app(scope, receive, send_with_id)

"""`X-Request-Id`: the client's when it is one, else ours; on every response, every problem and every log line."""

import re
from typing import Any

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
        encoded = given if given and _ACCEPTED.fullmatch(given) else str(uuid7()).encode()
        state: dict[str, Any] = scope.setdefault("state", {})
        state[_KEY] = encoded.decode()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-request-id", encoded)]
            await send(message)

        structlog.contextvars.bind_contextvars(request_id=state[_KEY])  # each request is a task, with its own context
        await self._app(scope, receive, send_with_id)

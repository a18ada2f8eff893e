"""`X-Request-Id`: the client's if it is valid, else a new one; on every response, every problem and every log line."""

import re

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

_VALID_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_STATE_KEY = "faas_request_id"


def request_id_of(scope: Scope) -> str:
    """Return the id that `bind_request_id` stored in `scope`, "" if there is none."""
    request_id: str = scope.get("state", {}).get(_STATE_KEY, "")
    return request_id


def choose_request_id(client_id: bytes) -> bytes:
    """Return `client_id` if it is valid, else a new id. `client_id` is b"" if the client sends none."""
    return client_id if client_id and _VALID_ID.fullmatch(client_id) else str(uuid7()).encode()


def bind_request_id(scope: Scope, encoded: bytes) -> None:
    """Store the id in `scope` and add it to the log lines of the current context, which must be the request's own."""
    request_id = encoded.decode()
    scope.setdefault("state", {})[_STATE_KEY] = request_id
    structlog.contextvars.bind_contextvars(request_id=request_id)


class RequestIdMiddleware:
    """ASGI middleware around the whole application, so that errors outside of any route have an id as well."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Bind the id, serve the request and add the id to the response."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        client_id = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                client_id = value
                break
        encoded = choose_request_id(client_id)
        bind_request_id(scope, encoded)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), (b"x-request-id", encoded)]
            await send(message)

        await self._app(scope, receive, send_with_id)

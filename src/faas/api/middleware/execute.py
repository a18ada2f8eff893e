"""`POST /functions/{id}/execute` as ASGI middleware, without the framework: the one route whose overhead matters.

litestar's routing, injection and response objects cost about as much as an execution itself. Clients see no difference:
the checks, errors, headers and request ids are those of the other routes. Ordinary requests do not even come here
(server/fast_path.py).
"""

import re

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from faas.api import problems
from faas.api.invocation import InvocationHandler
from faas.api.responses import send_answer
from faas.api.route_table import Route
from faas.errors import PayloadTooLarge
from faas.units import format_size

PATH = "/functions/{id}/execute"
_PATTERN = re.compile(PATH.replace("{id}", "([^/]+)"))
ROUTE = Route(_PATTERN, {"POST": ("invoke",)})


class ExecuteMiddleware:
    """ASGI middleware that answers its own path and passes all other requests to `app`.

    MethodsMiddleware, outside of it, has rejected every method but POST.
    """

    def __init__(self, app: ASGIApp, invocations: InvocationHandler, body_limit: int) -> None:
        self._app = app
        self._invocations = invocations
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Invoke the function that the path names."""
        if scope["type"] != ScopeType.HTTP or not (target := _PATTERN.fullmatch(scope["path"])):
            await self._app(scope, receive, send)
            return
        try:
            content_type, content_length = self._check_headers(scope)
            body = await self._read_body(receive)
        except PayloadTooLarge as error:
            answer = problems.answer_error(scope, error)
        else:
            if body is None:
                return
            answer = await self._invocations.answer(scope, target[1], content_type, body, content_length)
        await send_answer(send, answer)

    def _check_headers(self, scope: HTTPScope) -> tuple[str, int | None]:
        """Return Content-Type and Content-Length. Raises PayloadTooLarge if the Content-Length is over the limit."""
        content_type, content_length = b"", None
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value
            elif name == b"content-length":
                content_length = int(value)
                if content_length > self._body_limit:
                    raise self._too_large()
        return content_type.decode("latin-1"), content_length

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge("body", self._body_limit, f"larger than {format_size(self._body_limit)}")

    async def _read_body(self, receive: Receive) -> bytes | None:
        """Return the request's body, None if the client disconnects before its end. Raises PayloadTooLarge."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            chunk = message["body"]
            size += len(chunk)
            if size > self._body_limit:
                raise self._too_large()
            if not message["more_body"]:
                return b"".join(chunks) + chunk if chunks else chunk
            chunks.append(chunk)

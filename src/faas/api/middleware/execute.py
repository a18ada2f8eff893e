"""`POST /functions/{id}/execute` as ASGI middleware, without the framework: the one route whose overhead matters.

litestar's routing, injection and response objects cost about as much as an execution itself. Clients see no difference:
the checks, errors, headers and request ids are those of the other routes. Ordinary requests do not even come here
(server/fast_path.py).
"""

import re
from functools import partial

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from faas.api import problems
from faas.api.invocation import InvocationHandler, await_answer
from faas.api.responses import AnyAnswer, send_answer
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
        answer: AnyAnswer
        try:
            content_type, content_length = _read_headers(scope)
            body = await read_body(scope, receive, self._body_limit)
        except PayloadTooLarge as error:
            answer = problems.answer_error(scope, error)
        else:
            if body is None:
                return
            invoke = self._invocations.invoke
            begin = partial(invoke, scope, target[1], content_type, body, content_length=content_length)
            answer = await await_answer(begin)
        await send_answer(send, answer)


def _read_headers(scope: HTTPScope) -> tuple[str, int | None]:
    """Return Content-Type and Content-Length."""
    content_type, content_length = b"", None
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            content_length = int(value)
    return content_type.decode("latin-1"), content_length


async def read_body(scope: HTTPScope, receive: Receive, limit: int) -> bytes | None:
    """Return the body of a request, None if the client disconnects before its end.

    Raises PayloadTooLarge for more than `limit` bytes, at once where the request announces them.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > limit:
            raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunk = message["body"]
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if not message["more_body"]:
            return b"".join(chunks) + chunk if chunks else chunk
        chunks.append(chunk)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge("body", limit, f"larger than {format_size(limit)}")

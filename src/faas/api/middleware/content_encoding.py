"""`Content-Encoding`: bodies with a content coding are rejected with 415 (RFC 9110, section 15.5.16)."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from faas.api import problems
from faas.api.middleware.request_id import request_id_of
from faas.api.responses import Answer, send_answer
from faas.api.route_table import RouteTable

_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class ContentEncodingMiddleware:
    """ASGI middleware that rejects requests with an encoded body before the body is read.

    MethodsMiddleware, outside of it, has rejected every method that the path does not accept.
    """

    def __init__(self, app: ASGIApp, routes: RouteTable) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on unless its body has a content coding; a path that does not exist gets its 404."""
        if (
            scope["type"] == ScopeType.HTTP
            and scope["method"] in _METHODS_WITH_BODY
            and (encoding := _content_encoding(scope))
            and self._routes.allowed_methods(scope["path"])
        ):
            await send_answer(send, _reject(scope, encoding))
        else:
            await self._app(scope, receive, send)


def _content_encoding(scope: HTTPScope) -> str:
    """Return the Content-Encoding of the request, "" if it is missing, empty or identity."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-encoding"]
    if not values:
        return ""
    encoding = ", ".join(values)
    codings = {coding.strip().lower() for coding in encoding.split(",")}
    return encoding if codings - {"", "identity"} else ""


def _reject(scope: HTTPScope, encoding: str) -> Answer:
    detail = f"Content-Encoding: {encoding[:100]!r}; accepted is identity: send the body as it is"
    return problems.answer_problem(
        problems.UNSUPPORTED_CONTENT_ENCODING,
        detail,
        request_id=request_id_of(scope),
        instance=scope["path"],
        headers={"Accept-Encoding": "identity"},
    )

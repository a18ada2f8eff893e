"""OPTIONS and 405 with `Allow` from the route table, and HEAD wherever there is GET."""

from litestar.enums import ScopeType
from litestar.exceptions import MethodNotAllowedException
from litestar.types import ASGIApp, Receive, Scope, Send

from faas.api import problems
from faas.api.responses import Answer, send_answer
from faas.api.route_table import RouteTable


class MethodsMiddleware:
    """ASGI middleware that rejects methods that a path does not accept, answers OPTIONS, and passes HEAD on as GET.

    The HTTP server leaves out the body of an answer to HEAD.
    """

    def __init__(self, app: ASGIApp, routes: RouteTable) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if its path accepts its method, or if there is no such path."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        method, allowed = scope["method"], self._routes.allowed_methods(scope["path"])
        if allowed is not None and method not in allowed:
            error = MethodNotAllowedException(headers={"Allow": ", ".join(allowed)})
            await send_answer(send, problems.answer_error(scope, error))
        elif allowed is not None and method == "OPTIONS":
            await send_answer(send, Answer(204, b"", headers={"Allow": ", ".join(allowed)}))
        elif method == "HEAD":
            await self._app({**scope, "method": "GET"}, receive, send)  # a copy: the server uses its own scope
        else:
            await self._app(scope, receive, send)

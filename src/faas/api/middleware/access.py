"""`Authorization`: requests are admitted by their tokens before anything else looks at them."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from faas.api import problems
from faas.api.access import AccessGate, bind_caller
from faas.api.responses import send_answer
from faas.api.route_table import RouteTable
from faas.errors import FaasError


class AccessMiddleware:
    """ASGI middleware that stores the caller of each request, or answers one that is not admitted."""

    def __init__(self, app: ASGIApp, gate: AccessGate, routes: RouteTable) -> None:
        self._app = app
        self._gate = gate
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if its token has a scope of the route."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        authorizations = [value for name, value in scope["headers"] if name == b"authorization"]
        address = self._gate.client_addresses.of(scope["client"], scope["headers"])
        scopes = self._routes.scopes(scope["path"], scope["method"])
        try:
            admitted = await self._gate.admit(address, authorizations, scopes)
        except FaasError as error:
            await send_answer(send, problems.answer_error(scope, error))
            return
        bind_caller(scope, admitted.caller)
        if not admitted.headers:
            await self._app(scope, receive, send)
            return
        added = [(name.lower().encode(), value.encode()) for name, value in admitted.headers.items()]

        async def send_with_rate(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        await self._app(scope, receive, send_with_rate)

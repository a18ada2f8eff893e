"""`/f/{name}/…` as ASGI middleware: any method, any body, and who may call it is decided by the function's settings."""

from functools import partial

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from faas.api import problems
from faas.api.access import AccessGate, bind_caller
from faas.api.endpoint import PREFIX, EndpointHandler, Target, has_token, parse_target, request_of
from faas.api.invocation import await_answer
from faas.api.middleware.cross_origin import is_foreign
from faas.api.middleware.execute import read_body
from faas.api.responses import AnyAnswer, send_answer
from faas.caller import PUBLIC, Caller
from faas.errors import FaasError


class EndpointMiddleware:
    """ASGI middleware that lets functions answer the requests below PREFIX, and passes all others to `app`.

    A request with a token needs the scope invoke. One without, or with an `Authorization` that is for the function,
    reaches functions that admit anyone; so does one of a web page of another origin, where no tokens are asked for.
    """

    def __init__(self, app: ASGIApp, endpoints: EndpointHandler, gate: AccessGate, body_limit: int) -> None:
        self._app = app
        self._endpoints = endpoints
        self._gate = gate
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request below PREFIX with the function that it names."""
        if scope["type"] != ScopeType.HTTP or not scope["raw_path"].startswith(PREFIX):
            await self._app(scope, receive, send)
            return
        target = parse_target(scope["raw_path"].partition(b"?")[0] + b"?" + scope["query_string"])
        if target is None or scope["method"] == "CONNECT":  # /f/ itself; a tunnel to a function does not exist
            await self._app(scope, receive, send)
            return
        answer = await self._answer(scope, receive, target)
        if answer is not None:
            await send_answer(send, answer)

    async def _answer(self, scope: HTTPScope, receive: Receive, target: Target) -> AnyAnswer | None:
        """Return the answer, None if the client disconnects before the end of its request."""
        address = self._gate.client_addresses.of(scope["client"], scope["headers"])
        try:
            caller = await self._admit(scope, address)
            bind_caller(scope, caller)
            if caller.public_only:  # before a body of megabytes is read
                await self._endpoints.check_public(target.reference)
            body = await read_body(scope, receive, self._body_limit)
        except FaasError as error:
            return problems.answer_endpoint_error(scope, error)
        if body is None:
            return None
        request = request_of(
            target,
            method=scope["method"],
            scheme=scope["scheme"],
            headers=scope["headers"],
            body=body,
            client=address,
        )
        return await await_answer(partial(self._endpoints.call, scope, caller, target.reference, request))

    async def _admit(self, scope: HTTPScope, address: str) -> Caller:
        """Return who calls. Raises NotAuthenticated, NotAllowed, and what the gate raises besides."""
        authorizations = [value for name, value in scope["headers"] if name == b"authorization"]
        if self._gate.asks_for_tokens and not has_token(authorizations):
            return PUBLIC
        admitted = await self._gate.admit(address, authorizations, ("invoke",))
        if not self._gate.asks_for_tokens and is_foreign(scope):
            return PUBLIC
        return admitted.caller

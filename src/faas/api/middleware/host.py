"""`Host`: 421 for a host that is not the server's (RFC 9110, section 15.5.20), 400 for none, two or an invalid one."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from faas.api import problems
from faas.api.hosts import HostPolicy
from faas.api.middleware.request_id import request_id_of
from faas.api.problems import ProblemKind
from faas.api.responses import Answer, send_answer
from faas.web_origin import host_of_header

_SHOWN_CHARACTERS = 100


class HostMiddleware:
    """ASGI middleware that rejects requests for other hosts, for which the server's answers are not meant."""

    def __init__(self, app: ASGIApp, policy: HostPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on if its host is accepted."""
        if scope["type"] == ScopeType.HTTP and (answer := self._reject(scope)):
            await send_answer(send, answer)
        else:
            await self._app(scope, receive, send)

    def _reject(self, scope: HTTPScope) -> Answer | None:
        values = [value for name, value in scope["headers"] if name == b"host"]
        if len(values) == 1:
            if self._policy.accepts(values[0]):
                return None
            shown = repr(values[0].decode("latin-1")[:_SHOWN_CHARACTERS])
            if host_of_header(values[0]) is not None:
                detail = (
                    f"Host: {shown} is not a host of this server; accepted are localhost, loopback addresses, "
                    "and those of --allowed-hosts (FAAS_ALLOWED_HOSTS)"
                )
                return _answer(scope, problems.MISDIRECTED_REQUEST, detail)
            return _answer(scope, problems.INVALID_REQUEST, f"Host: {shown} is not valid; accepted is host:port")
        if not values and scope["http_version"] == "1.0":
            return None
        found = f"{len(values)} headers" if values else "missing"
        return _answer(scope, problems.INVALID_REQUEST, f"Host: {found}; accepted is one (RFC 9112, section 3.2)")


def _answer(scope: HTTPScope, kind: ProblemKind, detail: str) -> Answer:
    return problems.answer_problem(kind, detail, request_id=request_id_of(scope), instance=scope["path"])

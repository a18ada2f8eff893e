"""HTTP endpoints: `/f/{name}` and everything below it, where the function itself answers requests.

Shared by the middleware and the fast path of server/.
"""

import asyncio
import re
from collections.abc import Iterable
from functools import partial
from urllib.parse import unquote_to_bytes

import msgspec
from litestar.types import HTTPScope

from faas.access import token_text
from faas.api import problems
from faas.api.invocation import OnAnswer
from faas.api.responses import AnyAnswer, EndpointAnswer
from faas.caller import PUBLIC, Caller
from faas.errors import FunctionNotFound, InvalidRequest, NotAuthenticated
from faas.executions.service import ExecutionService, Finished
from faas.function_ref import FunctionRef
from faas.runtime import HttpRequest, HttpResponse

PREFIX = b"/f/"
_TARGET = re.compile(rb"/f/([^/?]+)(/[^?]*)?(?:\?(.*))?", re.DOTALL)
# Headers of the connection and not of the request (RFC 9110), and one that only the server writes.
_DROPPED_HEADERS = frozenset({
    b"connection", b"expect", b"keep-alive", b"proxy-authorization", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade", b"x-forwarded-prefix",
})  # fmt: skip
_WITHOUT_LENGTH = (204, 304)  # RFC 9112, section 6.3: no others end with their headers
_EXECUTION_ID = problems.EXECUTION_ID_HEADER.lower().encode()


class Target(msgspec.Struct, frozen=True):
    """What a request target names: the function, and the path and the query below it, percent-encoded as they came."""

    reference: str
    path: str
    query: str


def parse_target(target: bytes) -> Target | None:
    """Return what a request target names, None if it is not that of an endpoint."""
    if not (found := _TARGET.fullmatch(target)):
        return None
    reference = unquote_to_bytes(found[1]).decode("utf-8", "replace")
    return Target(reference, (found[2] or b"/").decode("latin-1"), (found[3] or b"").decode("latin-1"))


def has_token(authorizations: list[bytes]) -> bool:
    """Return whether these values of `Authorization` are a token of the platform, and not what is for the function."""
    return len(authorizations) == 1 and token_text.parse_authorization(authorizations[0]) is not None


def request_of(
    target: Target, *, method: str, scheme: str, headers: Iterable[tuple[bytes, bytes]], body: bytes, client: str
) -> HttpRequest:
    """Return the request as the function sees it: below its own path, and without a token of the platform.

    `headers` have names in lower case; `client` is the address of the client.
    """
    kept, host = [], ""
    for name, value in headers:
        if name in _DROPPED_HEADERS or (name == b"authorization" and token_text.is_in(value)):
            continue
        kept.append((name.decode("latin-1"), value.decode("latin-1")))
        if name == b"host":
            host = kept[-1][1]
    prefix = f"/f/{target.reference}"
    return HttpRequest(
        method=method,
        origin=f"{scheme}://{host}",
        base_path=prefix,
        path=target.path,
        query=target.query,
        headers=(*kept, ("x-forwarded-prefix", prefix)),
        body=body,
        client_address=client,
    )


class EndpointHandler:
    """Turns a request to a function into the answer: the function's own, or a problem."""

    def __init__(self, executions: ExecutionService) -> None:
        self._executions = executions

    async def check_public(self, reference: str) -> None:
        """Raise NotAuthenticated unless anyone may call the function, DatabaseUnavailable where that is not known."""
        try:
            await self._executions.check_public(_function_of(PUBLIC, reference))
        except FunctionNotFound as error:
            raise _as_seen_by(PUBLIC, error) from None

    def call(
        self, scope: HTTPScope, caller: Caller, reference: str, request: HttpRequest, on_answer: OnAnswer
    ) -> AnyAnswer | None:
        """Call the function for `caller`. The answer is returned or passed on as by InvocationHandler.invoke."""
        try:
            execution = self._executions.submit(caller, _function_of(caller, reference), request)
        except Exception as error:  # noqa: BLE001 - problems.answer_error maps every error and logs unexpected ones
            return problems.answer_endpoint_error(scope, _as_seen_by(caller, error))
        execution.add_done_callback(partial(_pass_on, on_answer, scope, caller))
        return None


def _function_of(caller: Caller, reference: str) -> FunctionRef:
    """Return the function that a target names. Raises FunctionNotFound, NotAuthenticated."""
    try:
        function_ref = FunctionRef.parse(reference)
    except InvalidRequest:
        raise FunctionNotFound(reference[:100]) from None
    if function_ref.name is None:  # an id
        raise FunctionNotFound(reference)
    if caller.public_only and function_ref.revision is not None:
        raise NotAuthenticated
    return function_ref


def _as_seen_by(caller: Caller, error: Exception) -> Exception:
    """Return the error that a caller may see: without a token, a function that does not exist is like a private one."""
    return NotAuthenticated() if caller.public_only and isinstance(error, FunctionNotFound) else error


def _pass_on(on_answer: OnAnswer, scope: HTTPScope, caller: Caller, execution: "asyncio.Task[Finished]") -> None:
    if execution.cancelled():
        on_answer(None)
        return
    answer: AnyAnswer
    try:
        answer = _answer_of(scope, execution.result())
    except Exception as error:  # noqa: BLE001 - as above
        answer = problems.answer_endpoint_error(scope, _as_seen_by(caller, error))
    on_answer(answer)


def _answer_of(scope: HTTPScope, finished: Finished) -> AnyAnswer:
    outcome, execution = finished.outcome, finished.execution
    if outcome is not None and outcome.response is not None:
        return _encoded(outcome.response, str(execution.id).encode())
    failure = None if outcome is None else outcome.failure
    return problems.answer_failed_execution(scope, execution.id, failure, execution.error_message or "")


def _encoded(response: HttpResponse, execution_id: bytes) -> EndpointAnswer:
    head = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    head.append((_EXECUTION_ID, execution_id))
    if response.status not in _WITHOUT_LENGTH:
        head.append((b"content-length", b"%d" % len(response.body)))
    return EndpointAnswer(response.status, response.body, head)

"""`POST /functions/{id or name}/execute`, served without the framework: the one route whose cost per request counts.

litestar's routing, injection and response objects cost about as much as the whole of an execution in this process.
What a client sees is what any other route gives: the same checks, errors, headers and request ids.
"""

import re

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from faas.api import bodies, problems
from faas.api.mappers import execution_response
from faas.api.responses import Answer, send_answer
from faas.api.route_table import Route
from faas.errors import PayloadTooLarge
from faas.executions.model import Execution
from faas.executions.service import ExecutionService
from faas.function_ref import FunctionRef
from faas.units import format_size

PATH = "/functions/{id}/execute"
_PATTERN = re.compile(PATH.replace("{id}", "([^/]+)"))
ROUTE = Route(_PATTERN, frozenset({"POST"}))
_encode = msgspec.json.Encoder().encode


def answer_of(execution: Execution) -> Answer:
    """What the route answers once the function has run."""
    return Answer(200, _encode(execution_response(execution)))


class Execute:
    """ASGI middleware: answers its own path, and hands everything else on to `app`."""

    def __init__(self, app: ASGIApp, executions: ExecutionService, body_limit: int) -> None:
        self._app = app
        self._executions = executions
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Execute the function that the path names."""
        if scope["type"] != ScopeType.HTTP or not (target := _PATTERN.fullmatch(scope["path"])):
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._answer(scope, target[1], receive)
        except Exception as error:  # noqa: BLE001 - the table of errors knows, and logs what it does not know
            answer = problems.answer_error(scope, error)
        if answer is None:
            return
        await send_answer(send, answer)

    async def _answer(self, scope: HTTPScope, reference: str, receive: Receive) -> Answer | None:
        """The execution, or None when the client has gone before it asked. Raises what the table of errors knows."""
        content_type = self._content_type(scope)
        body = await self._body(receive)
        if body is None:
            return None
        function_ref = FunctionRef.parse(reference)
        document = await bodies.execution_input(body, content_type)
        execution = await self._executions.execute(function_ref, document)
        return answer_of(execution)

    def _content_type(self, scope: HTTPScope) -> str:
        """Of the request, whose body must not be announced as too large."""
        found = b""
        for name, value in scope["headers"]:
            if name == b"content-type":
                found = value
            elif name == b"content-length" and int(value) > self._body_limit:
                raise self._too_large()
        return found.decode("latin-1")

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge("body", self._body_limit, f"larger than {format_size(self._body_limit)}")

    async def _body(self, receive: Receive) -> bytes | None:
        """All of the request's body; None when the client has gone."""
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

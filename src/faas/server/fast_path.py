"""The short way of an execution: from the HTTP parser to the platform and back, without ASGI in between.

uvicorn makes a task, a scope and an event for each request, and checks and writes its answer in two messages. A request
that is nothing out of the ordinary (POST, HTTP/1.1, kept alive, a small body of known length, no other one before it
under way) is taken out here once its head is parsed, and its answer is one write. Any other goes on to the application,
where api/execute.py answers it to the same effect.
"""

import asyncio
import contextvars
import re
from functools import partial
from typing import Any

from faas.api import bodies, problems
from faas.api.middleware.execute import answer_of
from faas.api.middleware.request_id import bind_request_id, choose_request_id
from faas.api.responses import Answer
from faas.executions.model import Execution
from faas.executions.service import ExecutionService
from faas.function_ref import FunctionRef
from faas.server.limits import LimitedHttpProtocol, encode_response

# A path that needs no decoding. What else may name a function is for the application to judge.
_TARGET = re.compile(rb"/functions/([A-Za-z0-9._-]+)/execute")
_NOBODY_WAITS = asyncio.Event()


class Exchange:
    """One request and its answer. It stands where uvicorn has its `cycle`, and has what uvicorn looks for in one."""

    __slots__ = (
        "body", "content_type", "disconnected", "keep_alive", "message_event", "more_body", "reference", "request_id",
        "response_complete",
    )  # fmt: skip

    def __init__(self, reference: bytes, content_type: bytes, request_id: bytes) -> None:
        self.reference = reference
        self.content_type = content_type
        self.request_id = request_id
        self.body = bytearray()
        self.more_body = True
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False
        self.message_event = _NOBODY_WAITS


class FastPathProtocol(LimitedHttpProtocol):
    """LimitedHttpProtocol that serves `POST /functions/{id}/execute` itself where it can."""

    cycle: Any  # uvicorn's, or an Exchange
    scope: Any  # uvicorn's type of it and litestar's say the same in other words

    def __init__(self, *arguments: Any, executions: ExecutionService, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._executions = executions

    def _dispatch(self) -> None:
        """Take the request, or leave it to the application."""
        exchange = self._exchange()
        if exchange is None:
            super()._dispatch()
        else:
            self.cycle = exchange

    def on_message_complete(self) -> None:
        """The request is here as a whole."""
        # An earlier one stays in `cycle` where uvicorn leaves a request to somebody else.
        exchange = self.cycle if isinstance(self.cycle, Exchange) and self.cycle.more_body else None
        super().on_message_complete()
        if exchange is not None:
            contextvars.Context().run(self._begin, exchange)

    def _exchange(self) -> Exchange | None:
        parser = self.parser
        if (
            parser.get_method() != b"POST"
            or not (target := _TARGET.fullmatch(self.url))
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or self.expect_100_continue
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.flow.write_paused  # its client does not read: the application's answers wait for that
        ):
            return None
        content_type, given_id, length = b"", b"", None
        for name, value in self.headers:
            if name == b"content-type":
                content_type = value
            elif name == b"content-length":
                length = int(value)
            elif name == b"x-request-id":
                given_id = given_id or value
            elif name == b"transfer-encoding":
                return None
        if length is None or length > bodies.SMALL:
            return None
        return Exchange(target[1], content_type, choose_request_id(given_id))

    def _begin(self, exchange: Exchange) -> None:
        """Start the execution; runs in a context of its own, as each of uvicorn's requests does."""
        bind_request_id(self.scope, exchange.request_id)
        self.scope["method"] = "POST"
        self.scope["path"] = self.url.decode()
        try:
            function_ref = FunctionRef.parse(exchange.reference.decode())
            document = bodies.small_execution_input(bytes(exchange.body), exchange.content_type.decode("latin-1"))
            task = self._executions.submit(function_ref, document)
        except Exception as error:  # noqa: BLE001 - the table of errors knows, and logs what it does not know
            self._send(exchange, problems.answer_error(self.scope, error))
        else:
            task.add_done_callback(partial(self._ended, exchange, self.scope))

    def _ended(self, exchange: Exchange, scope: Any, task: "asyncio.Task[Execution]") -> None:
        try:
            answer = answer_of(task.result())
        except Exception as error:  # noqa: BLE001 - as above
            answer = problems.answer_error(scope, error)
        except asyncio.CancelledError:  # the process ends, whatever runs
            self.transport.close()
            return
        if self.flow.write_paused and not exchange.disconnected:
            waiting = self.loop.create_task(self._send_late(exchange, answer))
            waiting.add_done_callback(self.tasks.discard)
            self.tasks.add(waiting)
        else:
            self._send(exchange, answer)

    async def _send_late(self, exchange: Exchange, answer: Answer) -> None:
        """Answer a client that has yet to read what it was sent before."""
        await self.flow.drain()
        self._send(exchange, answer)

    def _send(self, exchange: Exchange, answer: Answer) -> None:
        exchange.response_complete = True
        if exchange.disconnected or self.transport.is_closing():
            return
        headers = [*self.server_state.default_headers, (b"x-request-id", exchange.request_id)]
        if not exchange.keep_alive:
            headers.append((b"connection", b"close"))
        self.transport.write(encode_response(answer, *headers))
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

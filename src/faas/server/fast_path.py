"""Fast path for executions: serves the request directly from the HTTP parser, bypassing ASGI.

For each request uvicorn makes a task, a scope and an event, and checks and writes the answer in two messages. The fast
path takes an ordinary request (POST, HTTP/1.1, keep-alive, a host that is accepted, a small body of known length, no
earlier request in flight on the connection) once its headers are parsed, and writes the answer at once. All other
requests go to the application, where api/middleware/execute.py gives the same answers.
"""

import asyncio
import contextvars
import re
from functools import partial
from typing import Any

from faas.api.access import AccessGate, bind_caller
from faas.api.bodies import SMALL_BODY_BYTES
from faas.api.hosts import HostPolicy
from faas.api.invocation import InvocationHandler
from faas.api.middleware.cross_origin import BROWSER_HEADERS
from faas.api.middleware.request_id import bind_request_id, choose_request_id
from faas.api.responses import Answer
from faas.caller import Caller
from faas.server.limits import LimitedHttpProtocol, encode_response

# Paths that need no decoding; the application handles the others.
_TARGET = re.compile(rb"/functions/([A-Za-z0-9._-]+)/execute")
_INVOCATION_HEADERS = frozenset({b"authorization", b"content-length", b"content-type", b"host", b"x-request-id"})
_APPLICATION_HEADERS = BROWSER_HEADERS | {b"content-encoding", b"transfer-encoding"}
_UNUSED_EVENT = asyncio.Event()  # uvicorn sets it on disconnect; nothing awaits it here


class Exchange:
    """A request on the fast path and its answer. Has the attributes that uvicorn uses of its RequestResponseCycle."""

    __slots__ = (
        "body", "caller", "content_length", "content_type", "disconnected", "keep_alive", "message_event", "more_body",
        "reference", "request_id", "response_complete",
    )  # fmt: skip

    def __init__(
        self, caller: Caller, reference: bytes, content_type: bytes, content_length: int, request_id: bytes
    ) -> None:
        self.caller = caller
        self.reference = reference
        self.content_type = content_type
        self.content_length = content_length
        self.request_id = request_id
        self.body = bytearray()
        self.more_body = True
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False
        self.message_event = _UNUSED_EVENT


class FastPathProtocol(LimitedHttpProtocol):
    """LimitedHttpProtocol that serves ordinary `POST /functions/{id}/execute` requests itself."""

    cycle: Any  # uvicorn's RequestResponseCycle, or an Exchange
    scope: Any  # uvicorn and litestar declare the same ASGI scope as different types

    def __init__(
        self, *arguments: Any, invocations: InvocationHandler, gate: AccessGate, hosts: HostPolicy, **keywords: Any
    ) -> None:
        super().__init__(*arguments, **keywords)
        self._invocations = invocations
        self._gate = gate
        self._hosts = hosts

    def _dispatch(self) -> None:
        """Take the request, or pass it to the application."""
        exchange = self._accept()
        if exchange is None:
            super()._dispatch()
        else:
            self.cycle = exchange

    def on_message_complete(self) -> None:
        """Invoke the function: the request is complete."""
        # If uvicorn dispatches nothing (a WebSocket handshake), `cycle` is still that of the request before.
        exchange = self.cycle if isinstance(self.cycle, Exchange) and self.cycle.more_body else None
        super().on_message_complete()
        if exchange is not None:
            contextvars.Context().run(self._invoke, exchange)

    def _match(self) -> "re.Match[bytes] | None":
        """Return the target of the request whose headers are parsed, None if it is not for the fast path."""
        parser = self.parser
        if (
            parser.get_method() != b"POST"
            or not (target := _TARGET.fullmatch(self.url))
            or parser.get_http_version() != "1.1"
            or not parser.should_keep_alive()
            or parser.should_upgrade()
            or self.expect_100_continue
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.flow.write_paused  # the client does not read; the application's answers wait for it
        ):
            return None
        return target

    def _accept(self) -> Exchange | None:
        """Return the exchange for the request whose headers are parsed, None if it is not for the fast path."""
        if not (target := self._match()) or (headers := self._read_headers()) is None:
            return None
        length = int(headers.get(b"content-length", b"-1"))
        if not 0 <= length <= SMALL_BODY_BYTES or not self._hosts.accepts(headers.get(b"host")):
            return None
        address = self._gate.client_addresses.of(self.client, self.headers)
        caller = self._gate.admit_now(address, headers.get(b"authorization"), "invoke")
        if caller is None:
            return None
        request_id = choose_request_id(headers.get(b"x-request-id", b""))
        return Exchange(caller, target[1], headers.get(b"content-type", b""), length, request_id)

    def _read_headers(self) -> dict[bytes, bytes] | None:
        """Return those headers that an invocation depends on, None if one is for the application or is there twice."""
        found: dict[bytes, bytes] = {}
        for name, value in self.headers:
            if name in _APPLICATION_HEADERS or name in found:
                return None
            if name in _INVOCATION_HEADERS:
                found[name] = value
        return found

    def _invoke(self, exchange: Exchange) -> None:
        """Start the execution. Runs in a context of its own, which holds the request id for the logs."""
        scope = self.scope
        bind_request_id(scope, exchange.request_id)
        bind_caller(scope, exchange.caller)
        scope["method"] = "POST"
        scope["path"] = self.url.decode()
        answer = self._invocations.answer(
            scope,
            exchange.reference.decode(),
            exchange.content_type.decode("latin-1"),
            bytes(exchange.body),
            exchange.content_length,
        )
        if answer.done():  # rejected: answered at once, so that a pipelined request can take the fast path too
            self._send(exchange, answer.result())
        else:
            answer.add_done_callback(partial(self._on_answer, exchange))

    def _on_answer(self, exchange: Exchange, answer: "asyncio.Future[Answer]") -> None:
        if answer.cancelled():  # the process ends
            self.transport.close()
        elif self.flow.write_paused and not exchange.disconnected:
            sending = self.loop.create_task(self._send_when_writable(exchange, answer.result()))
            sending.add_done_callback(self.tasks.discard)
            self.tasks.add(sending)
        else:
            self._send(exchange, answer.result())

    async def _send_when_writable(self, exchange: Exchange, answer: Answer) -> None:
        """Wait until the client has read earlier answers, then send this one."""
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

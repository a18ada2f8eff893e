"""Fast path for executions: serves the request directly from the HTTP parser, bypassing ASGI.

For each request uvicorn makes a task, a scope and an event, and checks and writes the answer in two messages. The fast
path takes an ordinary request (an execution, or one to an HTTP endpoint; HTTP/1.1, keep-alive, a host that is accepted,
a small body of known length, no earlier request in flight on the connection) once its headers are parsed, and writes
the answer at once. All other requests go to the application, where api/middleware/execute.py and endpoint.py give the
same answers.
"""

import asyncio
import contextvars
import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

from faas.api.access import AccessGate, bind_caller
from faas.api.bodies import SMALL_BODY_BYTES
from faas.api.endpoint import PREFIX, EndpointHandler, Target, has_token, parse_target, request_of
from faas.api.hosts import HostPolicy
from faas.api.invocation import InvocationHandler
from faas.api.middleware.cross_origin import BROWSER_HEADERS
from faas.api.middleware.request_id import bind_request_id, choose_request_id
from faas.api.responses import AnyAnswer, encode_headers
from faas.caller import PUBLIC, Caller
from faas.server.limits import LimitedHttpProtocol, encode_response

# Paths that need no decoding; the application handles the others.
_TARGET = re.compile(rb"/functions/([A-Za-z0-9._-]+)/execute")
_READ_HEADERS = frozenset({b"authorization", b"content-length", b"content-type", b"host", b"x-request-id"})
_APPLICATION_HEADERS = BROWSER_HEADERS | {b"content-encoding", b"transfer-encoding"}
_UNUSED_EVENT = asyncio.Event()  # uvicorn sets it on disconnect; nothing awaits it here


class Exchange:
    """A request on the fast path and its answer. Has the attributes that uvicorn uses of its RequestResponseCycle."""

    __slots__ = (
        "address", "body", "caller", "content_length", "content_type", "disconnected", "headers", "keep_alive",
        "message_event", "more_body", "request_id", "response_complete", "target",
    )  # fmt: skip

    def __init__(
        self,
        caller: Caller,
        target: str | Target,
        *,
        address: str,
        headers: list[tuple[bytes, bytes]],
        single: Mapping[bytes, bytes],
        content_length: int,
    ) -> None:
        """`target` is the reference of a function to execute, or what the path of an endpoint names.

        `single` are those of its `headers` that the server itself reads.
        """
        self.caller = caller
        self.target = target
        self.address = address
        self.headers = headers
        self.content_type = single.get(b"content-type", b"")
        self.content_length = content_length
        self.request_id = choose_request_id(single.get(b"x-request-id", b""))
        self.body = bytearray()
        self.more_body = True
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False
        self.message_event = _UNUSED_EVENT


class FastPathProtocol(LimitedHttpProtocol):
    """LimitedHttpProtocol that serves ordinary requests to `/functions/{id}/execute` and `/f/{name}/…` itself."""

    _default_headers: list[tuple[bytes, bytes]] | None = None
    _default_lines = b""  # the same, encoded
    cycle: Any  # uvicorn's RequestResponseCycle, or an Exchange
    scope: Any  # uvicorn and litestar declare the same ASGI scope as different types

    def __init__(
        self,
        *arguments: Any,
        invocations: InvocationHandler,
        endpoints: EndpointHandler,
        gate: AccessGate,
        hosts: HostPolicy,
        **keywords: Any,
    ) -> None:
        super().__init__(*arguments, **keywords)
        self._invocations = invocations
        self._endpoints = endpoints
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

    def _is_ordinary(self) -> bool:
        """Return whether a request whose headers are parsed can be answered here, whatever it is for."""
        parser = self.parser
        return (
            parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and (self.cycle is None or self.cycle.response_complete)
            and not self.flow.write_paused  # the client does not read; the application's answers wait for it
        )

    def _accept(self) -> Exchange | None:
        """Return the exchange for the request whose headers are parsed, None if it is not for the fast path."""
        target: str | Target | None
        method = self.parser.get_method()
        if found := _TARGET.fullmatch(self.url):
            target = found[1].decode() if method == b"POST" else None
        else:
            target = self._endpoint_target() if method != b"HEAD" and self.url.startswith(PREFIX) else None
        if target is None or not self._is_ordinary():
            return None
        if (single := self._read_headers()) is None:
            return None
        # Without a length there is no body here: _APPLICATION_HEADERS has Transfer-Encoding.
        length = int(single.get(b"content-length", b"-1" if isinstance(target, str) else b"0"))
        if not 0 <= length <= SMALL_BODY_BYTES or not self._hosts.accepts(single.get(b"host")):
            return None
        address = self._gate.client_addresses.of(self.client, self.headers)
        caller = self._admit(target, address, single.get(b"authorization"))
        if caller is None:
            return None
        headers = self.headers
        return Exchange(caller, target, address=address, headers=headers, single=single, content_length=length)

    def _endpoint_target(self) -> Target | None:
        """Return what the target of the request names, None where the application is to find it out."""
        return parse_target(self.url) if self.url.isascii() and b"#" not in self.url else None

    def _admit(self, target: str | Target, address: str, authorization: bytes | None) -> Caller | None:
        """Return the caller, None where the application is to find it out."""
        of_function = isinstance(target, Target) and not has_token([] if authorization is None else [authorization])
        if of_function and self._gate.asks_for_tokens:
            return PUBLIC
        return self._gate.admit_now(address, authorization, "invoke")

    def _read_headers(self) -> dict[bytes, bytes] | None:
        """Return those headers that the server reads, None if one is for the application or is there twice."""
        found: dict[bytes, bytes] = {}
        for name, value in self.headers:
            if name in _APPLICATION_HEADERS or name in found:
                return None
            if name in _READ_HEADERS:
                found[name] = value
        return found

    def _invoke(self, exchange: Exchange) -> None:
        """Start the execution. Runs in a context of its own, which holds the request id for the logs."""
        scope = self.scope
        bind_request_id(scope, exchange.request_id)
        bind_caller(scope, exchange.caller)
        scope["method"] = method = self.parser.get_method().decode()
        on_answer = partial(self._on_answer, exchange)
        rejection: AnyAnswer | None
        if isinstance(exchange.target, str):
            scope["path"] = self.url.decode()
            rejection = self._invocations.invoke(
                scope,
                exchange.target,
                exchange.content_type.decode("latin-1"),
                bytes(exchange.body),
                on_answer,
                content_length=exchange.content_length,
            )
        else:
            scope["path"] = unquote(self.url.partition(b"?")[0].decode())  # as uvicorn writes it
            request = request_of(
                exchange.target,
                method=method,
                scheme=scope["scheme"],
                headers=exchange.headers,
                body=bytes(exchange.body),
                client=exchange.address,
            )
            rejection = self._endpoints.call(scope, exchange.caller, exchange.target.reference, request, on_answer)
        if rejection is not None:  # answered at once, so that a pipelined request can take the fast path too
            self._send(exchange, rejection)

    def _on_answer(self, exchange: Exchange, answer: AnyAnswer | None) -> None:
        if answer is None:  # the process ends
            self.transport.close()
        elif self.flow.write_paused and not exchange.disconnected:
            sending = self.loop.create_task(self._send_when_writable(exchange, answer))
            sending.add_done_callback(self.tasks.discard)
            self.tasks.add(sending)
        else:
            self._send(exchange, answer)

    async def _send_when_writable(self, exchange: Exchange, answer: AnyAnswer) -> None:
        """Wait until the client has read earlier answers, then send this one."""
        await self.flow.drain()
        self._send(exchange, answer)

    def _send(self, exchange: Exchange, answer: AnyAnswer) -> None:
        exchange.response_complete = True
        if exchange.disconnected or self.transport.is_closing():
            return
        default = self.server_state.default_headers
        if default is not self._default_headers:  # uvicorn makes another list each second
            self._default_headers, self._default_lines = default, encode_headers(default)
        lines = b"%bx-request-id: %b\r\n" % (self._default_lines, exchange.request_id)
        if not exchange.keep_alive:
            lines += b"connection: close\r\n"
        self.transport.write(encode_response(answer, lines))
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

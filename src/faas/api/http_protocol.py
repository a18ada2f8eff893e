"""uvicorn's HTTP protocol with limits on what a client may do before there is a request, and our shape for refusals."""

import asyncio
from collections.abc import Sized
from http import HTTPStatus
from typing import Any

import msgspec
from uuid_utils import uuid7
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from faas.api.wire import Problem

HEAD_LIMIT = 64 << 10  # bytes of request line and headers
REQUEST_TIMEOUT = 30.0  # seconds from the first byte of a request to its last; 6 MiB pass at 200 kB/s
_INVALID = "invalid-request"


class _Flow(FlowControl):
    """uvicorn's, but it reads on only when no request waits for its turn on this connection.

    uvicorn's own reads on with each request that it begins: a client that pipelines small ones fills the memory.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read on, unless what was read is still to be served."""
        if not self._waiting:
            super().resume_reading()


class ProblemProtocol(HttpToolsProtocol):
    """Refuses with a problem document what is no HTTP, has too long a head, or takes too long to arrive."""

    _head_bytes = 0
    _in_head = True
    _begun = False  # by the data that are looked at: a request that is here with its first bytes needs no timer
    _arriving: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing is closed after a while."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more is expected."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count while the head arrives."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._begun:
            self._begun = False
            self._expect_request()
        if self._in_head and self._head_bytes > HEAD_LIMIT and not self.transport.is_closing():
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "headers-too-large",
                f"request line and headers: more than {HEAD_LIMIT} bytes",
            )

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._unset_keepalive_if_required()  # the one before may have been answered among the same data
        self._in_head, self._head_bytes = True, 0
        self._begun = True

    def on_headers_complete(self) -> Any:
        """Its head is here; the application judges the size of its body."""
        self._in_head = False
        return super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is here."""
        self._begun = False
        self._expect_nothing()
        self._in_head, self._head_bytes = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn with what is wrong."""
        self._refuse(HTTPStatus.BAD_REQUEST, _INVALID, f"not a valid HTTP request: {msg.removesuffix('.')}")

    def _expect_request(self) -> None:
        self._expect_nothing()
        self._arriving = self.loop.call_later(REQUEST_TIMEOUT, self._too_slow)

    def _expect_nothing(self) -> None:
        if self._arriving:
            self._arriving.cancel()
            self._arriving = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            detail = f"the request did not arrive within {REQUEST_TIMEOUT:g} s"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", detail)

    def _refuse(self, status: HTTPStatus, kind: str, detail: str) -> None:
        """Answer and hang up. A request that the application has begun on sees a client that went away."""
        request_id = str(uuid7())
        problem = Problem(
            type=f"urn:faas:problem:{kind}",
            title="The request is not valid" if kind == _INVALID else status.phrase,
            status=status,
            detail=detail,
            instance="",
            request_id=request_id,
        )
        body = msgspec.json.encode(problem)
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            "content-type: application/problem+json\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

"""uvicorn's HTTP protocol with limits on what a client may do before there is a request, and our shape for refusals."""

import asyncio
from collections.abc import Sized
from http import HTTPStatus

import msgspec
from uuid_utils import uuid7

from faas.api.schemas import Problem
from faas.server.uvicorn_internals import FlowControl, HttpToolsProtocol

HEAD_LIMIT = 64 << 10  # bytes of request line and headers; of trailers too, which are then left unread
REQUEST_TIMEOUT = 30.0  # seconds from the first byte of a request to its last; 6 MiB pass at 200 kB/s
_LINGER = 1.0  # seconds in which a client that was refused may stop sending and read why
_LENGTH_DIGITS = 20  # of a Content-Length; Python refuses to read thousands of them
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

    _in_fields = True  # in a head, or where the trailers of a chunked body would be
    _fields_bytes = 0  # of the data that came after those in which these fields began
    _began_in = 0  # bytes of those
    _received = 0  # bytes of the data that are looked at
    _begun = False  # by the data that are looked at: a request that is here with its first bytes needs no timer
    _arriving: asyncio.TimerHandle | None = None
    _refused = False

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
        """Count while a head or trailers arrive, and see that one timer runs unless an answer is awaited."""
        if self._refused:
            return
        self._received = len(data)
        if self._in_fields:
            self._fields_bytes += len(data)
        super().data_received(data)
        if self._begun:
            self._begun = False
            self._expect_request()
        elif self._arriving is None:
            self._stay_idle()
        if self._in_fields and self._fields_bytes > HEAD_LIMIT:
            self._refuse_fields()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._unset_keepalive_if_required()  # the one before may have been answered among the same data
        self._in_fields, self._fields_bytes, self._began_in = True, 0, self._received
        self._begun = True

    def on_headers_complete(self) -> None:
        """Its head is here; the application judges the size of its body."""
        if self._began_in + self._fields_bytes > HEAD_LIMIT:  # then it is worth adding up
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > HEAD_LIMIT:
                self._refuse_fields()
                raise ValueError("headers too large")  # the parser goes no further
        self._in_fields = False
        self._serve()
        self.headers = []  # trailers would become headers of a request that has been judged by its own

    def on_chunk_header(self) -> None:
        """A chunk begins. If it is the last one, trailers may follow."""
        self._in_fields, self._fields_bytes = True, 0

    def on_body(self, body: bytes) -> None:
        """It was not the last one."""
        self._in_fields = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of it is here."""
        self._begun = False
        self._expect_nothing()
        self._in_fields, self._fields_bytes = True, 0
        super().on_message_complete()

    def _serve(self) -> None:
        """Hand the request to the application."""
        if any(name == b"content-length" and len(value) > _LENGTH_DIGITS for name, value in self.headers):
            raise ValueError("Content-Length has too many digits")
        super().on_headers_complete()
        if self.expect_100_continue or self.parser.should_upgrade():
            # A client that is refused may leave its body out, and what follows an upgrade is not read as HTTP.
            self.cycle.keep_alive = False

    def _unsupported_upgrade_warning(self) -> None:
        """The client is answered as if it had not asked; there is nothing to install."""

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

    def _stay_idle(self) -> None:
        """Keep the connection for a while when nothing on it is awaited: any data ended uvicorn's own timer."""
        answered = self.cycle is not None and self.cycle.response_complete and not self.pipeline
        if answered and not self._refused and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _too_slow(self) -> None:
        earlier = self.pipeline or (self._in_fields and self.cycle is not None and not self.cycle.response_complete)
        if self.flow.read_paused or earlier:
            self._expect_request()  # it waits for us, or an answer that is on its way would be lost with it
        else:
            detail = f"the request did not arrive within {REQUEST_TIMEOUT:g} s"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "request-timeout", detail)

    def _refuse_fields(self) -> None:
        detail = f"request line and headers: more than {HEAD_LIMIT} bytes"
        self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers-too-large", detail)

    def _refuse(self, status: HTTPStatus, kind: str, detail: str) -> None:
        """Answer and hang up. A request that the application has begun on sees a client that went away."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._expect_nothing()
        self._unset_keepalive_if_required()
        for cycle in (self.cycle, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
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
        # To close now, with data unread, would reset the connection, and the client might never see the answer.
        self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(_LINGER, self.transport.close)

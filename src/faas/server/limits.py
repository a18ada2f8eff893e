"""Limits on what a client may do to a connection: the size of headers, the time of a request, the time between two."""

import asyncio
import socket
from collections.abc import Sized

import httptools
from uuid_utils import uuid7

from faas.api import problems
from faas.api.problems import ProblemKind
from faas.api.responses import AnyAnswer
from faas.server.tls_transport import TlsTransport
from faas.server.upgrades import UpgradeIgnoringProtocol
from faas.server.uvicorn_internals import STATUS_LINE, FlowControl
from faas.timeouts import LAST_READ_SECONDS

HEADER_LIMIT_BYTES = 64 << 10  # of request line and headers; of trailers too, which are not used
READ_TIMEOUT_SECONDS = 30.0  # from the first byte of a request to its last; 6 MiB pass at 200 kB/s
# In which a client must have taken something of an answer that waits for it: it is in the memory until then.
WRITE_TIMEOUT_SECONDS = 60.0
_CLOSE_DELAY_SECONDS = 1.0  # in which a rejected client may stop sending and read the answer
_CONTENT_LENGTH_DIGITS = 20  # Python refuses to convert thousands of digits


def encode_response(answer: AnyAnswer, lines: bytes) -> bytes:
    """Return the bytes of an HTTP/1.1 response: `answer` with the `lines` of headers besides its own."""
    return b"%b%b%b\r\n%b" % (STATUS_LINE[answer.status], answer.lines, lines, answer.body)


class HeaderLimit:
    """Counts the bytes of a header section (request line and headers, or trailers) while it arrives.

    The parser does not tell at which byte of a chunk of data a section begins, so that the size is known within bounds
    only: the chunks after the first belong to the section as a whole, of the first chunk at most all bytes do.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._in_section = True
        self._chunk_bytes = 0  # size of the chunk that is parsed
        self._first_chunk_bytes = 0  # size of the chunk in which the section begins
        self._later_chunks_bytes = 0

    @property
    def in_section(self) -> bool:
        """Whether the next byte may belong to a header section."""
        return self._in_section

    @property
    def is_exceeded(self) -> bool:
        """Whether the section is too large even if nothing of its first chunk belongs to it."""
        return self._in_section and self._later_chunks_bytes > self._limit_bytes

    @property
    def may_be_exceeded(self) -> bool:
        """Whether the section is too large if all of its first chunk belongs to it."""
        return self._first_chunk_bytes + self._later_chunks_bytes > self._limit_bytes

    def add_chunk(self, size: int) -> None:
        """Count a chunk of `size` bytes, before it is parsed."""
        self._chunk_bytes = size
        if self._in_section:
            self._later_chunks_bytes += size

    def start_section(self) -> None:
        """Begin to count a section; it begins somewhere in the current chunk."""
        self._in_section = True
        self._first_chunk_bytes, self._later_chunks_bytes = self._chunk_bytes, 0

    def end_section(self) -> None:
        """Stop counting: what follows is a body."""
        self._in_section = False


class _BackpressureFlow(FlowControl):
    """uvicorn's flow control that does not read on while pipelined requests wait on the connection.

    uvicorn resumes reading with each request that it starts: a client that pipelines small requests fills the memory.
    """

    def __init__(self, transport: asyncio.Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Resume reading unless a pipelined request waits."""
        if not self._pipeline:
            super().resume_reading()


class LimitedHttpProtocol(UpgradeIgnoringProtocol):
    """HTTP/1.1 protocol with a header-size limit, a read timeout and a keep-alive timeout.

    A client that breaks a limit or sends invalid HTTP gets an RFC 9457 problem, and the connection is closed.
    """

    _request_started = False  # in the chunk that is parsed; a request that is complete in it needs no timer
    _read_timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the read timeout: a connection without a first request is closed as well."""
        _set_write_timeout(transport)
        if transport.get_extra_info("sslcontext"):
            transport = TlsTransport(transport, self.loop)
        super().connection_made(transport)
        self.flow = _BackpressureFlow(transport, self.pipeline)
        self._header_limit = HeaderLimit(HEADER_LIMIT_BYTES)
        self._start_read_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers."""
        self._cancel_read_timeout()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if isinstance(self.transport, TlsTransport):
            self.transport.connection_lost()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection open while answers are due: a client that has ended its sending may still read.

        Without an answer due the connection is closed at once, else after the last answer. A full close looks like a
        half-close until the server sends something. A request that is cut off in its middle is dropped.

        Over TLS there is no half-close: asyncio closes the connection when the client has ended its sending, whatever
        is returned here.
        """
        cycle = self.cycle
        if cycle is None or cycle.response_complete or cycle.disconnected or not self.transport.can_write_eof():
            return False
        self._cancel_read_timeout()
        if not cycle.more_body:
            cycle.keep_alive = False
            return True
        cycle.disconnected = True
        cycle.message_event.set()
        if not self.pipeline:
            return False
        self.pipeline[0] = (cycle, self._close_connection)  # after the answers to the requests before it
        return True

    async def _close_connection(self, *_: object) -> None:
        """ASGI application that closes the connection instead of an answer."""
        self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse `data`, enforce the header limit, and keep one timer running unless an answer is due."""
        if self._input_ended:
            return
        if self._read_timeout is not None or not data.isspace():  # empty lines between two requests do not count
            self._unset_keepalive_if_required()
        self._header_limit.add_chunk(len(data))
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                self._parse_after_upgrade(memoryview(data)[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._reject(problems.INVALID_REQUEST, "not a valid HTTP request")
        if self._request_started:
            self._request_started = False
            self._start_read_timeout()
        elif self._read_timeout is None:
            self._start_keep_alive_timeout()
        if self._header_limit.is_exceeded:
            self._reject_headers()

    def on_message_begin(self) -> None:
        """Start to count the headers of a request."""
        if self._body_head:
            return
        super().on_message_begin()
        self._unset_keepalive_if_required()  # set if the request before was answered while this chunk is parsed
        self._header_limit.start_section()
        self._request_started = True

    def on_headers_complete(self) -> None:
        """Enforce the header limit, then dispatch the request. The application limits the size of the body."""
        if self._body_head:
            self._body_head = b""  # the parser now reads it
            return
        if self._header_limit.may_be_exceeded:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > HEADER_LIMIT_BYTES:
                self._reject_headers()
                raise ValueError("headers too large")  # stops the parser
        self._header_limit.end_section()
        self._dispatch()
        self.headers = []  # the parser would add trailers to the headers of a request that is already dispatched

    def on_chunk_header(self) -> None:
        """Start to count trailers: they follow if this chunk of the body is the last one."""
        self._header_limit.start_section()

    def on_body(self, body: bytes) -> None:
        """Store a part of the body, which therefore is not in trailers."""
        self._header_limit.end_section()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the read timeout: the request is complete."""
        if self._body_head:
            return
        self._request_started = False
        self._cancel_read_timeout()
        self._header_limit.start_section()
        super().on_message_complete()

    def _dispatch(self) -> None:
        """Pass the request to the ASGI application."""
        self._check_framing()
        super().on_headers_complete()
        if self.expect_100_continue:
            # A client that gets a final status instead of 100 may leave out the body: the connection cannot be used
            # for another request.
            self.cycle.keep_alive = False
        if self.parser.should_upgrade():
            self._ignore_upgrade()

    def shutdown(self) -> None:
        """End with the answer that is due, or to a request that has arrived, or else at once; called by uvicorn."""
        if self._is_idle():
            self.retire()
            self.loop.call_later(LAST_READ_SECONDS, self._close_if_idle)
        else:
            super().shutdown()

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._is_idle():
            self.transport.close()

    def retire(self) -> None:
        """Let the next answer be the last one of the connection. It may be called again."""
        cycle = self.cycle
        # An answer that has begun has told the client that the connection stays open.
        if cycle is not None and not cycle.response_complete and not getattr(cycle, "response_started", False):
            cycle.keep_alive = False
        self._dispatch = self._dispatch_last  # type: ignore[method-assign] # connections that stay open pay nothing

    def _dispatch_last(self) -> None:
        type(self)._dispatch(self)
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _check_framing(self) -> None:
        """Reject a request whose body cannot be read; a ValueError stops the parser."""
        codings: list[bytes] = []
        for name, value in self.headers:
            if name == b"content-length" and len(value) > _CONTENT_LENGTH_DIGITS:
                raise ValueError("Content-Length has too many digits")
            if name == b"transfer-encoding":
                codings += [coding for part in value.lower().split(b",") if (coding := part.strip())]
        if codings and codings != [b"chunked"]:
            self._reject_transfer_coding(codings)
            raise ValueError("transfer coding not accepted")

    def _reject_transfer_coding(self, codings: list[bytes]) -> None:
        """Answer as RFC 9112, sections 6.1 and 6.3, says: 400 if the end of the body is unknown, else 501."""
        kind = problems.NOT_IMPLEMENTED if codings[-1] == b"chunked" else problems.INVALID_REQUEST
        shown = b", ".join(codings)[:100].decode("latin-1")
        self._reject(kind, f"Transfer-Encoding: {shown!r}; accepted is chunked")

    def _start_read_timeout(self) -> None:
        self._cancel_read_timeout()
        self._read_timeout = self.loop.call_later(READ_TIMEOUT_SECONDS, self._on_read_timeout)

    def _cancel_read_timeout(self) -> None:
        if self._read_timeout:
            self._read_timeout.cancel()
            self._read_timeout = None

    def _start_keep_alive_timeout(self) -> None:
        """Start uvicorn's keep-alive timeout again if the connection is idle: data ends it."""
        idle = self.cycle is not None and self.cycle.response_complete and not self.pipeline
        if idle and not self._input_ended and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def timeout_keep_alive_handler(self) -> None:
        """Close the idle connection, unless a request arrived before: closing would reset what was not yet read."""
        self.timeout_keep_alive_task = self.loop.call_later(LAST_READ_SECONDS, super().timeout_keep_alive_handler)

    def _on_read_timeout(self) -> None:
        self._read_timeout = self.loop.call_later(LAST_READ_SECONDS, self._end_reading)

    def _end_reading(self) -> None:
        answer_due = self._header_limit.in_section and not self._is_idle()
        if self.flow.read_paused or self.pipeline or answer_due:
            # The server itself has paused reading, or a rejection would discard the answer to an earlier request.
            self._start_read_timeout()
        else:
            self._reject(problems.REQUEST_TIMEOUT, f"the request did not arrive within {READ_TIMEOUT_SECONDS:g} s")

    def _reject_headers(self) -> None:
        self._reject(problems.HEADERS_TOO_LARGE, f"request line and headers: more than {HEADER_LIMIT_BYTES} bytes")

    def _reject(self, kind: ProblemKind, detail: str) -> None:
        """Answer with a problem and close the connection. The application sees requests in flight as disconnected."""
        if self._input_ended or self.transport.is_closing():
            return
        self._input_ended = True
        self._cancel_read_timeout()
        self._unset_keepalive_if_required()
        for cycle in (self.cycle, *(waiting for waiting, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        request_id = str(uuid7())
        answer = problems.answer_problem(kind, detail, request_id=request_id)
        lines = b"x-request-id: %b\r\nconnection: close\r\n" % request_id.encode()
        self.transport.write(encode_response(answer, lines))
        # Closing now, with received data unread, would reset the connection before the client has read the answer.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(_CLOSE_DELAY_SECONDS, self.transport.close)


def _set_write_timeout(transport: asyncio.Transport) -> None:
    """Let the kernel end the connection of a client that takes no data; on Linux, elsewhere it may stay.

    A transport that is closed with data left waits for the client without end.
    """
    option: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
    connection: socket.socket | None = transport.get_extra_info("socket")
    if option is not None and connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
        connection.setsockopt(socket.IPPROTO_TCP, option, int(WRITE_TIMEOUT_SECONDS * 1000))

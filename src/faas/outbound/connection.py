"""A connection to a server, on which one request follows the other."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from typing import cast

from faas.outbound.answers import AnswerParser, NotHttp
from faas.outbound.model import RequestFailed

_READ_BYTES = 16 << 10  # what one read takes, and so how long it keeps the event loop
_MOST_PENDING_BYTES = 64 << 10  # of a body, until they are taken
_PART_BYTES = 64  # what a part of a body takes beside its bytes
# uvloop's TLS hands what it has encrypted to the TCP transport, and counts as its own only what that one has no room
# for. In pieces, the TCP transport is full before the last piece, so that little of a body is in neither count.
_WRITE_BYTES = 64 << 10


class ConnectionLost(Exception):
    """The server has closed the connection before its answer was complete.

    `stale`: one that was kept from an earlier request, before a byte of the answer came.
    """

    def __init__(self, *, stale: bool) -> None:
        super().__init__("the connection was closed")
        self.stale = stale


class Connection(asyncio.BufferedProtocol):
    """Sends requests and receives their answers. `on_close` is called once, when the connection is closed."""

    def __init__(self, on_close: Callable[[], None]) -> None:
        self.used_at = time.monotonic()
        self._on_close = on_close
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._transport: asyncio.Transport | None = None
        self._tls: ssl.SSLObject | None = None
        self._answer: AnswerParser | None = None
        self._failure: Exception | None = None  # of the answer
        self._received = self._pending = 0  # bytes of the answer, and of its body those that are not taken yet
        self._paused_reading = self._paused_writing = False
        self._kept = self._ended = self._closed = False
        self._ended_in_order = False  # by the server, which has sent all that it wanted to
        self._waiter: asyncio.Future[None] | None = None

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent."""
        if self._transport is None or self._ended or self._closed or self._transport.get_write_buffer_size():
            return False
        return self._answer is None or self._answer.reusable

    async def request(self, method: str, head: bytes, body: bytes) -> AnswerParser:
        """Send a request and return its answer as soon as its head is there.

        Raises ConnectionLost, NotHttp and RequestFailed. The connection must be closed then, and if this is cancelled.
        """
        self._kept = self._answer is not None
        answer = self._answer = AnswerParser(method)
        self._received = self._pending = 0
        assert self._transport is not None
        if self._ended or self._transport.is_closing():  # a server may close at once, or send before it is asked
            raise ConnectionLost(stale=self._kept)
        self._transport.write(head)
        for start in range(0, len(body), _WRITE_BYTES):
            self._transport.write(memoryview(body)[start : start + _WRITE_BYTES])
        # A server may answer before it has read all.
        while self._paused_writing and not self._ended and not self._received:
            await self._changed()
        while not answer.head_complete:
            await self._more()
        return answer

    async def body(self) -> AsyncGenerator[bytes]:
        """Return the parts of the body of the answer; raises as `request` does."""
        answer = self._answer
        assert answer is not None
        while True:
            parts, answer.parts, self._pending = answer.parts, [], 0
            if self._paused_reading and self._transport is not None:
                self._paused_reading = False
                self._transport.resume_reading()
            for part in parts:
                yield part
            if not answer.parts:
                if answer.complete:
                    return
                await self._more()

    def close(self) -> None:
        """Close the connection at once: what is not sent yet is not."""
        if not self._closed:
            self._closed = True
            if self._transport is not None:
                self._transport.abort()
            self._on_close()

    async def _more(self) -> None:
        """Wait for more of the answer."""
        if self._failure is not None:
            raise self._failure
        if not self._ended:
            await self._changed()
        elif not self._read_rest():
            raise ConnectionLost(stale=self._kept and not self._received)

    def _read_rest(self) -> bool:
        """Parse more of an answer whose connection is closed. Returns False where there is no more.

        When the server closes, uvloop leaves what it has received in TLS and not yet decrypted.
        """
        assert self._answer is not None
        if self._tls is not None:
            with contextlib.suppress(ssl.SSLError):  # a part of a record, or the end
                if size := cast("int", self._tls.read(len(self._buffer), self._buffer)):  # as into a buffer
                    self.buffer_updated(size)
                    return True
        return self._ended_in_order and self._answer.feed_end()

    async def _changed(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # those of uvloop derive from no class of asyncio
        self._tls = transport.get_extra_info("ssl_object")

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Return where the next bytes are put."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the bytes, which are a part of the answer, or come without a request."""
        if self._failure is not None:
            return
        if self._answer is None or self._answer.complete:
            self._ended = True
            self.close()  # so that the server cannot send more
            return
        self._received += nbytes
        before = len(self._answer.parts)
        try:
            self._answer.feed(self._buffer[:nbytes])
        except (NotHttp, RequestFailed) as failure:  # raised where the answer is awaited
            self._failure = failure
        self._pending += sum(_PART_BYTES + len(part) for part in self._answer.parts[before:])
        if self._pending > _MOST_PENDING_BYTES and not self._paused_reading and self._transport is not None:
            self._paused_reading = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Note that the server has sent all, and let the transport close: `connection_lost` follows."""
        self._ended_in_order = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more comes. An answer that ends with the connection is cut where there is an `exc`."""
        self._ended = True
        self._ended_in_order = self._ended_in_order or exc is None
        self._wake()

    def pause_writing(self) -> None:
        """Let requests wait: the server does not read."""
        self._paused_writing = True

    def resume_writing(self) -> None:
        """Let requests go on."""
        self._paused_writing = False
        self._wake()

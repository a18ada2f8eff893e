"""asyncio's transport over TLS, without its long wait at the end of a connection."""

import asyncio
import fcntl
import struct
import termios
from typing import Any

_CLOSE_WAIT_SECONDS = 1.0  # for the client's close_notify, and between two looks at what it has acknowledged


class TlsTransport(asyncio.Transport):
    """A transport over TLS that is closed once the client has everything, whether it answers the close or not.

    asyncio and uvloop wait 30 s for the client's close_notify. A client sees the server's only when it uses the
    connection again, which one with a pool of idle connections does not do: a graceful shutdown would wait for it.
    RFC 8446, section 6.1, does not ask to wait.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._closing: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Send what is buffered, and close the connection when the client has acknowledged it."""
        if not self._transport.is_closing():
            self._transport.close()
            self._closing = self._loop.call_later(_CLOSE_WAIT_SECONDS, self._abort_if_acknowledged)

    def connection_lost(self) -> None:
        """Stop waiting: called by the protocol."""
        if self._closing is not None:
            self._closing.cancel()

    def _abort_if_acknowledged(self) -> None:
        if self._transport.get_write_buffer_size() or self._unacknowledged_bytes():
            self._closing = self._loop.call_later(_CLOSE_WAIT_SECONDS, self._abort_if_acknowledged)
        else:
            self._transport.abort()

    def _unacknowledged_bytes(self) -> int:
        """Return how many bytes the kernel keeps for the client (SIOCOUTQ, which is TIOCOUTQ on Linux)."""
        descriptor = self._transport.get_extra_info("socket").fileno()
        count: int = struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)))[0]
        return count

    def can_write_eof(self) -> bool:
        """Return False: asyncio cannot end one direction of TLS."""
        return False

    def abort(self) -> None:
        """Close the connection immediately, without what is buffered."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Return whether the connection is closed or being closed."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: object = None) -> Any:
        """Return what asyncio knows about the connection."""
        return self._transport.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send `data`, without blocking."""
        self._transport.write(data)

    def get_write_buffer_size(self) -> int:
        """Return the number of bytes that are not handed to the kernel yet."""
        return self._transport.get_write_buffer_size()

    def is_reading(self) -> bool:
        """Return whether the protocol gets data."""
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        """Stop passing data to the protocol."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Pass data to the protocol again."""
        self._transport.resume_reading()

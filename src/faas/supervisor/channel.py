"""Messages over a connected socket: each after its length, in four bytes."""

import asyncio
import socket
import struct

from faas.supervisor.messages import Message, decoder, encoder

_LENGTH = struct.Struct(">I")


class Channel:
    """One end of the connection between the supervisor and a worker. Use from one event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, connection: socket.socket) -> "Channel":
        """Use `connection`, which is the channel's from now on."""
        return cls(*await asyncio.open_unix_connection(sock=connection))

    def send(self, message: Message) -> None:
        """Send a message. Nothing happens if the other process has ended."""
        if not self._writer.is_closing():
            content = encoder.encode(message)
            self._writer.write(_LENGTH.pack(len(content)) + content)

    async def receive(self) -> Message | None:
        """Return the next message; None if the other process has ended."""
        try:
            (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
            return decoder.decode(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def close(self) -> None:
        """Send what is buffered, and close the connection."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:  # the other process has ended
            return

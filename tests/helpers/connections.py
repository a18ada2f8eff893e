"""Clients that send exactly the given bytes, over a real port."""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

Head = dict[str, str]
_LISTENS = "0A"  # the state of a socket in /proc/net/tcp


class Port:
    """The port of a server in this process, and the paths of the requests that reached its ASGI application.

    Clients connect with TLS if there is an `ssl_context`.
    """

    def __init__(self, number: int, ssl_context: ssl.SSLContext | None = None) -> None:
        self.number = number
        self.application_paths: list[str] = []
        self._ssl_context = ssl_context

    async def connect(self) -> "Connection":
        own = small_buffer_socket()
        await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", self.number))
        if self._ssl_context is None:
            return Connection(*await asyncio.open_connection(sock=own))
        return Connection(*await asyncio.open_connection(sock=own, ssl=self._ssl_context, server_hostname="localhost"))


async def client_sockets(port: int) -> int:
    """Return how many connections to `port` of 127.0.0.1 the process that listens there has not closed."""
    rows = [line.split() for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]]
    own = f"0100007F:{port:04X}"
    return sum(row[1] == own and row[3] != _LISTENS and row[9] != "0" for row in rows)  # without an inode: closed


def small_buffer_socket() -> socket.socket:
    """Return a socket with small buffers, so that backpressure takes effect soon."""
    made = socket.socket(proto=socket.IPPROTO_TCP)  # with it, asyncio sets TCP_NODELAY on what is accepted
    made.setblocking(False)
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        made.setsockopt(socket.SOL_SOCKET, buffer, 1 << 16)
    return made


class Connection:
    """A client connection that sends exactly the given bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, Head, Any]:
        """Read the next answer: its status, its headers and its JSON."""
        lines = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 20)).decode().splitlines()
        head = dict(line.split(": ", 1) for line in lines[1:] if line)
        body = await self.reader.readexactly(int(head.get("content-length", 0)))
        return int(lines[0].split()[1]), head, json.loads(body) if body else None

    async def closed(self) -> bool:
        return await asyncio.wait_for(self.reader.read(), 20) == b""

    def end_sending(self) -> None:
        """Close this client's own direction only (a half-close): it still reads."""
        self.writer.write_eof()

    @property
    def transport(self) -> asyncio.Transport:
        """The transport, of which a test may pause the reading."""
        assert isinstance(self.writer.transport, asyncio.Transport)
        return self.writer.transport

    def reset(self) -> None:
        """Leave at once: the server gets an RST."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


def request(target: str, body: bytes, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"POST {target} HTTP/{version}", "host: localhost", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def execute(name: str = "echo", execution_input: str = "{}", *headers: str, version: str = "1.1") -> bytes:
    body = f'{{"input":{execution_input}}}'.encode()
    return request(f"/functions/{name}/execute", body, "content-type: application/json", *headers, version=version)

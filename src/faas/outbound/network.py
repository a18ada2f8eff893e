"""Connects to addresses that the list of a function admits: to the very address that was judged, never to a name."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar

import httpcore
import msgspec

from faas.outbound.addresses import is_public
from faas.outbound.lifetime import Lifetime
from faas.outbound.model import MAX_HEADERS_BYTES, RequestFailed
from faas.outbound.resolver import FunctionResolver
from faas.outbound_patterns import Address, Origin, OutboundPatterns
from faas.units import format_size

_READ_BYTES = 16 << 10  # what one read takes, and so how long it keeps the event loop
_MOST_ADDRESSES = 8
_ATTEMPT_SECONDS = 2.0  # for each address but the last
MAX_HEAD_BYTES = 4 * MAX_HEADERS_BYTES


class Exchange(msgspec.Struct):
    """What a request knows of its connection while it is sent. httpcore passes no argument to its network backend."""

    origin: Origin
    lifetime: Lifetime
    connected: bool = False  # for this request: it does not reuse a connection
    head_complete: bool = False
    head_bytes: int = 0


current_exchange: ContextVar[Exchange] = ContextVar("current_exchange")


class ConnectionSlots:
    """Counts the open connections of all functions. `close_idle` closes those that are not used."""

    def __init__(self, most: int, close_idle: Callable[[], Awaitable[None]]) -> None:
        self._most = most
        self._close_idle = close_idle
        self.open = 0

    async def take(self) -> None:
        """Count one more. Raises RequestFailed where there are as many as there may be."""
        if self.open >= self._most:
            await self._close_idle()
        if self.open >= self._most:
            raise RequestFailed(f"this server has {self._most} connections of functions open; try again later")
        self.open += 1

    def release(self) -> None:
        """Count one less."""
        self.open -= 1


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """The network of one function. Reads the allow list for each connection, whose name it resolves once."""

    def __init__(self, patterns: OutboundPatterns, resolver: FunctionResolver, slots: ConnectionSlots) -> None:
        self._patterns = patterns
        self._resolver = resolver
        self._slots = slots

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the whole request has one
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first admitted address of `host` that accepts. Raises RequestFailed."""
        exchange = current_exchange.get()
        exchange.connected = True
        async with exchange.lifetime.operation():
            addresses = self._admitted(exchange.origin, await self._resolver.addresses(host))
            await self._slots.take()
            try:
                return Stream(await _connect(addresses, port, exchange.origin), self._slots)
            except BaseException:
                self._slots.release()
                raise

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no origin is a socket of this machine."""
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        """Sleep, between the retries of httpcore, of which there are none."""
        await asyncio.sleep(seconds)

    def _admitted(self, origin: Origin, addresses: list[Address]) -> list[Address]:
        admitted = [one for one in addresses if is_public(one) or self._patterns.names_address(origin, one)]
        if admitted:
            return admitted[:_MOST_ADDRESSES]
        refused = addresses[0]
        what = f"the address {refused}" if origin.address else f"{origin.host} has the address {refused}, which"
        size = 32 if refused.version == 4 else 128
        raise RequestFailed(
            f"{what} is not on the public internet; `faas deploy … --outbound {refused}/{size}` allows it"
        )


class Stream(httpcore.AsyncNetworkStream):
    """A connection. Its streams are made at the first use, when it is known whether TLS comes first."""

    def __init__(self, connected: socket.socket, slots: ConnectionSlots) -> None:
        self._socket = connected
        self._slots = slots
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._closed = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Read what is there, at most 16 KiB. Raises httpcore.ReadError."""
        exchange = current_exchange.get()
        try:
            async with exchange.lifetime.operation():
                reader, _ = await self._streams()
                data = await reader.read(min(max_bytes, _READ_BYTES))
        except (OSError, ssl.SSLError) as error:
            raise httpcore.ReadError(str(error)) from None
        if not exchange.head_complete:
            exchange.head_bytes += len(data)
            if exchange.head_bytes > MAX_HEAD_BYTES:
                raise RequestFailed(f"the headers of the answer are larger than {format_size(MAX_HEAD_BYTES)}")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Write all of `buffer`. Raises httpcore.WriteError."""
        if not buffer:
            return
        try:
            async with current_exchange.get().lifetime.operation():
                _, writer = await self._streams()
                writer.write(buffer)
                await writer.drain()
        except (OSError, ssl.SSLError) as error:
            raise httpcore.WriteError(str(error)) from None

    async def aclose(self) -> None:
        """Close the connection at once: what is not sent yet is not."""
        if self._closed:
            return
        self._closed = True
        self._slots.release()
        if self._writer is None:
            self._socket.close()
        else:
            self._writer.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Begin TLS with the name of the URL. Raises RequestFailed."""
        try:
            async with current_exchange.get().lifetime.operation():
                await self._streams(ssl_context, server_hostname)
        except BaseException as error:
            await self.aclose()
            if isinstance(error, ssl.SSLError):
                reason = getattr(error, "verify_message", "") or error.reason or str(error)
                raise RequestFailed(f"no TLS with {server_hostname}: {reason}") from None
            if isinstance(error, OSError):
                raise RequestFailed(f"no TLS with {server_hostname}: the connection was closed") from None
            raise
        return self

    def get_extra_info(self, info: str) -> object:
        """Return whether the server has closed an idle connection; nothing else is known."""
        if info != "is_readable":
            return None
        return self._reader is None or self._reader.at_eof() or self._reader.exception() is not None

    async def _streams(
        self, context: ssl.SSLContext | None = None, server_hostname: str | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                sock=self._socket, ssl=context, server_hostname=server_hostname
            )
        return self._reader, self._writer


async def _connect(addresses: list[Address], port: int, origin: Origin) -> socket.socket:
    """Return a socket that is connected to the first of `addresses` that accepts."""
    *others, last = addresses
    for address in others:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                return await _connect_to(address, port)
    try:
        return await _connect_to(last, port)
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            raise RequestFailed(f"{origin} refused the connection") from None
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise RequestFailed(f"no connection to {origin}: {reason}") from None


async def _connect_to(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connecting = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(connecting, (str(address), port))
    except BaseException:
        connecting.close()
        raise
    return connecting

"""Connects to addresses that the list of a function admits: to the very address that was judged, never to a name."""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Callable

from faas.outbound.addresses import is_public
from faas.outbound.connection import Connection
from faas.outbound.model import RequestFailed
from faas.outbound.resolver import FunctionResolver
from faas.outbound_patterns import Address, Origin, OutboundPatterns

_MOST_ADDRESSES = 8
_ATTEMPT_SECONDS = 2.0  # for each address but the last


class ConnectionSlots:
    """Counts the open connections of all functions. `close_idle` closes those that are not used."""

    def __init__(self, most: int, close_idle: Callable[[], None]) -> None:
        self._most = most
        self._close_idle = close_idle
        self.open = 0

    def take(self) -> None:
        """Count one more. Raises RequestFailed where there are as many as there may be."""
        if self.open >= self._most:
            self._close_idle()
        if self.open >= self._most:
            raise RequestFailed(f"this server has {self._most} connections of functions open; try again later")
        self.open += 1

    def release(self) -> None:
        """Count one less."""
        self.open -= 1


class Network:
    """What one function may connect to. Reads the allow list for each connection, whose name it resolves once."""

    def __init__(
        self, patterns: OutboundPatterns, resolver: FunctionResolver, slots: ConnectionSlots, tls: ssl.SSLContext
    ) -> None:
        self._patterns = patterns
        self._resolver = resolver
        self._slots = slots
        self._tls = tls

    async def connect(self, origin: Origin) -> Connection:
        """Connect to the first admitted address of `origin` that accepts. Raises RequestFailed."""
        addresses = self._admitted(origin, await self._resolver.addresses(origin.host))
        self._slots.take()
        connection = Connection(self._slots.release)
        try:
            await self._open(connection, await _connect(addresses, origin), origin)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _open(self, connection: Connection, connected: socket.socket, origin: Origin) -> None:
        """Give the socket to a transport, with TLS where the origin has it, in the name of the URL."""
        secure = origin.scheme == "https"
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                sock=connected,
                ssl=self._tls if secure else None,
                server_hostname=origin.host if secure else None,
            )
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or str(error)
            raise RequestFailed(f"no TLS with {origin.host}: {reason}") from None
        except OSError:
            raise RequestFailed(f"no TLS with {origin.host}: the connection was closed") from None

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


async def _connect(addresses: list[Address], origin: Origin) -> socket.socket:
    """Return a socket that is connected to the first of `addresses` that accepts."""
    *others, last = addresses
    for address in others:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_ATTEMPT_SECONDS):
                return await _connect_to(address, origin.port)
    try:
        return await _connect_to(last, origin.port)
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

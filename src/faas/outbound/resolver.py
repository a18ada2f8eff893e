"""Resolves names with the resolver of the system, in threads of its own: bounded for each function and in all."""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable

from faas.outbound.model import RequestFailed
from faas.outbound_patterns import Address, literal_address

# Blocking; raises OSError for a name without addresses. Tests replace it.
Resolve = Callable[[str], list[Address]]

_LOOKUPS = 32
_LOOKUPS_OF_FUNCTION = 4  # a function whose name servers do not answer leaves the others theirs


def resolve_with_system(host: str) -> list[Address]:
    """Return the addresses of a name, in the order in which the system prefers them. Raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


class Resolver:
    """Looks names up. Each lookup has a thread, as one cannot be cancelled: a daemon, which does not delay the exit."""

    def __init__(self, resolve: Resolve = resolve_with_system) -> None:
        self._resolve = resolve
        self._slots = asyncio.Semaphore(_LOOKUPS)

    def limited(self) -> "FunctionResolver":
        """Return the resolver for one function."""
        return FunctionResolver(self._resolve, self._slots)


class FunctionResolver:
    """The resolver as one function has it."""

    def __init__(self, resolve: Resolve, slots: asyncio.Semaphore) -> None:
        self._resolve = resolve
        self._slots = (asyncio.Semaphore(_LOOKUPS_OF_FUNCTION), slots)
        self.lookups = 0  # that run, also those whose caller waits no longer

    async def addresses(self, host: str) -> list[Address]:
        """Return the addresses of a host, one or more. Raises RequestFailed for a name that has none."""
        if (literal := literal_address(host)) is not None:
            return [literal]
        own, shared = self._slots
        await own.acquire()
        try:
            await shared.acquire()
        except BaseException:
            own.release()
            raise
        addresses = await self._look_up(host)
        if not addresses:
            raise RequestFailed(f"the name {host} cannot be resolved: it has no address")
        return list(dict.fromkeys(addresses))

    async def _look_up(self, host: str) -> list[Address]:
        """Start the thread, which holds the two slots until it ends, whether or not its caller still waits."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Address]] = loop.create_future()

        def settle(addresses: list[Address], error: str | None) -> None:
            self.lookups -= 1
            for slots in self._slots:
                slots.release()
            if answer.done():  # cancelled
                return
            if error is None:
                answer.set_result(addresses)
            else:
                answer.set_exception(RequestFailed(f"the name {host} cannot be resolved: {error}"))

        def look_up() -> None:
            addresses: list[Address] = []
            error: str | None = None
            try:
                addresses = self._resolve(host)
            except (OSError, ValueError) as failure:  # ValueError: what Python's own encoding of names does not accept
                error = getattr(failure, "strerror", None) or "it is not a valid name"
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, addresses, error)

        self.lookups += 1
        threading.Thread(target=look_up, name="outbound-resolver", daemon=True).start()
        return await answer

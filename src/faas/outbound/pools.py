"""The connection pools of functions, which share nothing: one pool for each function and allow list."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from faas.outbound.connection import Connection
from faas.outbound.network import ConnectionSlots, Network
from faas.outbound.resolver import FunctionResolver, Resolver
from faas.outbound_patterns import Origin, OutboundPatterns

MAX_CONNECTIONS = 512  # of all functions, busy and idle
MAX_CONNECTIONS_OF_FUNCTION = 256
_MAX_IDLE_CONNECTIONS_OF_FUNCTION = 64
# Shorter than the five seconds after which common servers close idle connections: a request would meet a closed one.
IDLE_SECONDS = 4.0


class FunctionPool:
    """The connections of one function that were made under one allow list.

    A request takes the idle connection to its origin that was used last, or a new one.
    """

    def __init__(self, network: Network) -> None:
        self.active = 0
        self.idle_since = 0.0
        self._network = network
        self._idle: dict[Origin, list[Connection]] = {}
        self._idle_count = 0
        self._free = asyncio.Semaphore(MAX_CONNECTIONS_OF_FUNCTION)

    @asynccontextmanager
    async def connection(self, origin: Origin) -> AsyncIterator[Connection]:
        """Return a connection for one request. It is kept where it can serve another one, and closed otherwise."""
        async with self._free:
            connection = self._take(origin) or await self._network.connect(origin)
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self._give_back(origin, connection)

    def close_idle(self, seconds: float) -> None:
        """Close the connections that no request has used for `seconds`."""
        oldest = time.monotonic() - seconds
        for origin, idle in list(self._idle.items()):
            kept = [connection for connection in idle if connection.reusable and connection.used_at > oldest]
            for connection in set(idle).difference(kept):
                connection.close()
            self._idle_count += len(kept) - len(idle)
            if kept:
                self._idle[origin] = kept
            else:
                del self._idle[origin]

    def _take(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin, [])
        oldest = time.monotonic() - IDLE_SECONDS
        while idle:
            connection = idle.pop()
            self._idle_count -= 1
            if connection.reusable and connection.used_at >= oldest:
                return connection
            connection.close()
        self._idle.pop(origin, None)
        return None

    def _give_back(self, origin: Origin, connection: Connection) -> None:
        if not connection.reusable or self._idle_count >= _MAX_IDLE_CONNECTIONS_OF_FUNCTION:
            connection.close()
            return
        connection.used_at = time.monotonic()
        idle = self._idle.setdefault(origin, [])
        idle.append(connection)
        self._idle_count += 1
        if idle[0].used_at < connection.used_at - IDLE_SECONDS:  # the one that was used least recently
            self._idle_count -= 1
            idle.pop(0).close()


class FunctionPools:
    """All pools. Used on the event loop of the client only."""

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext, most: int = MAX_CONNECTIONS) -> None:
        self._tls = tls
        self.slots = ConnectionSlots(most, lambda: self.close_idle(0))
        self._resolver = resolver
        # The list is a part of the key: a connection that an older revision was allowed to make is not for a newer one.
        self._pools: dict[tuple[UUID, OutboundPatterns], FunctionPool] = {}
        self._resolvers: dict[UUID, FunctionResolver] = {}

    @contextmanager
    def using(self, function_id: UUID, patterns: OutboundPatterns) -> Iterator[FunctionPool]:
        """Return the pool of a function, which is not closed inside the context."""
        key = (function_id, patterns)
        if (pool := self._pools.get(key)) is None:
            resolver = self._resolvers.setdefault(function_id, self._resolver.limited())
            pool = self._pools[key] = FunctionPool(Network(patterns, resolver, self.slots, self._tls))
        pool.active += 1
        try:
            yield pool
        finally:
            pool.active -= 1
            pool.idle_since = time.monotonic()

    def close_idle(self, seconds: float = IDLE_SECONDS) -> None:
        """Close the connections that no request has used for `seconds`, and forget the pools that none uses."""
        now = time.monotonic()
        for key, pool in list(self._pools.items()):
            if not pool.active and now - pool.idle_since >= seconds:
                del self._pools[key]
                pool.close_idle(0)
            else:
                pool.close_idle(seconds)
        functions = {function_id for function_id, _ in self._pools}
        self._resolvers = {
            key: resolver for key, resolver in self._resolvers.items() if key in functions or resolver.lookups
        }

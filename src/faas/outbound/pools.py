"""The connection pools of functions, which share nothing: one pool for each function and allow list."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpcore

from faas.outbound.lifetime import Lifetime
from faas.outbound.network import ConnectionSlots, PinnedBackend
from faas.outbound.resolver import FunctionResolver, Resolver
from faas.outbound_patterns import OutboundPatterns

MAX_CONNECTIONS = 512  # of all functions, busy and idle
MAX_CONNECTIONS_OF_FUNCTION = 256
_MAX_IDLE_CONNECTIONS_OF_FUNCTION = 64
# Shorter than the five seconds after which common servers close idle connections: a request would meet a closed one.
IDLE_SECONDS = 4.0


class FunctionPool:
    """The connections of one function that were made under one allow list.

    httpcore's own pool looks at every connection whenever one changes, which takes seconds where hundreds of requests
    wait at once. Here a request takes the idle connection to its origin that was used last, or a new one.
    """

    def __init__(self, patterns: OutboundPatterns, resolver: FunctionResolver, shared: "FunctionPools") -> None:
        self.active = 0
        self.idle_since = 0.0
        self._tls = shared.tls
        self._backend = PinnedBackend(patterns, resolver, shared.slots)
        self._idle: dict[str, list[httpcore.AsyncHTTPConnection]] = {}  # by origin
        self._idle_count = 0
        self._free = asyncio.Semaphore(MAX_CONNECTIONS_OF_FUNCTION)

    @asynccontextmanager
    async def connection(
        self, origin: httpcore.Origin, lifetime: Lifetime
    ) -> AsyncIterator[httpcore.AsyncHTTPConnection]:
        """Return a connection for one request. It is kept where it can serve another one, and closed otherwise.

        Raises RequestFailed where the time of the request ends before one is free.
        """
        async with lifetime.operation():
            await self._free.acquire()
        try:
            connection = await self._take(origin)
            try:
                yield connection
            finally:
                await self._give_back(origin, connection)
        finally:
            self._free.release()

    async def aclose(self) -> None:
        """Close the idle connections."""
        for idle in self._idle.values():
            for connection in idle:
                await connection.aclose()
        self._idle.clear()
        self._idle_count = 0

    async def _take(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        idle = self._idle.get(str(origin), [])
        while idle:
            connection = idle.pop()
            self._idle_count -= 1
            if connection.is_available() and not connection.has_expired():
                return connection
            await connection.aclose()
        self._idle.pop(str(origin), None)
        return httpcore.AsyncHTTPConnection(
            origin, ssl_context=self._tls, keepalive_expiry=IDLE_SECONDS, network_backend=self._backend
        )

    async def _give_back(self, origin: httpcore.Origin, connection: httpcore.AsyncHTTPConnection) -> None:
        if not connection.is_idle() or self._idle_count >= _MAX_IDLE_CONNECTIONS_OF_FUNCTION:
            await connection.aclose()
            return
        idle = self._idle.setdefault(str(origin), [])
        idle.append(connection)
        self._idle_count += 1
        if idle[0].has_expired():  # the one that was used least recently
            self._idle_count -= 1
            await idle.pop(0).aclose()


class FunctionPools:
    """All pools. Used on the event loop of the client only."""

    def __init__(self, resolver: Resolver, tls: ssl.SSLContext, most: int = MAX_CONNECTIONS) -> None:
        self.tls = tls
        self.slots = ConnectionSlots(most, lambda: self.close_idle(0))
        self._resolver = resolver
        # The list is a part of the key: a connection that an older revision was allowed to make is not for a newer one.
        self._pools: dict[tuple[UUID, OutboundPatterns], FunctionPool] = {}
        self._resolvers: dict[UUID, FunctionResolver] = {}

    @asynccontextmanager
    async def using(self, function_id: UUID, patterns: OutboundPatterns) -> AsyncIterator[FunctionPool]:
        """Return the pool of a function, which is not closed inside the context."""
        key = (function_id, patterns)
        if (pool := self._pools.get(key)) is None:
            resolver = self._resolvers.setdefault(function_id, self._resolver.limited())
            pool = self._pools[key] = FunctionPool(patterns, resolver, self)
        pool.active += 1
        try:
            yield pool
        finally:
            pool.active -= 1
            pool.idle_since = time.monotonic()

    async def close_idle(self, seconds: float = IDLE_SECONDS) -> None:
        """Close the pools that no request has used for `seconds`."""
        now = time.monotonic()
        for key, pool in list(self._pools.items()):
            if not pool.active and now - pool.idle_since >= seconds:
                del self._pools[key]
                await pool.aclose()
        functions = {function_id for function_id, _ in self._pools}
        self._resolvers = {key: resolver for key, resolver in self._resolvers.items() if key in functions}

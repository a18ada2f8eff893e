"""The connection pools of functions, which share nothing: one pool for each function and allow list."""

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpcore

from faas.outbound.network import ConnectionSlots, PinnedBackend
from faas.outbound.resolver import FunctionResolver, Resolver
from faas.outbound_patterns import OutboundPatterns

MAX_CONNECTIONS = 512  # of all functions, busy and idle
MAX_CONNECTIONS_OF_FUNCTION = 256
_MAX_IDLE_CONNECTIONS_OF_FUNCTION = 64
# Shorter than the five seconds after which common servers close idle connections: a request would meet a closed one.
IDLE_SECONDS = 4.0


class FunctionPool:
    """The connections of one function that were made under one allow list."""

    def __init__(self, patterns: OutboundPatterns, resolver: FunctionResolver, shared: "FunctionPools") -> None:
        self.active = 0
        self.idle_since = 0.0
        self.http = httpcore.AsyncConnectionPool(
            ssl_context=shared.tls,
            max_connections=MAX_CONNECTIONS_OF_FUNCTION,
            max_keepalive_connections=_MAX_IDLE_CONNECTIONS_OF_FUNCTION,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=PinnedBackend(patterns, resolver, shared.slots),
        )


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
    async def using(self, function_id: UUID, patterns: OutboundPatterns) -> AsyncIterator[httpcore.AsyncConnectionPool]:
        """Return the pool of a function, which is not closed inside the context."""
        key = (function_id, patterns)
        if (pool := self._pools.get(key)) is None:
            resolver = self._resolvers.setdefault(function_id, self._resolver.limited())
            pool = self._pools[key] = FunctionPool(patterns, resolver, self)
        pool.active += 1
        try:
            yield pool.http
        finally:
            pool.active -= 1
            pool.idle_since = time.monotonic()

    async def close_idle(self, seconds: float = IDLE_SECONDS) -> None:
        """Close the pools that no request has used for `seconds`."""
        now = time.monotonic()
        for key, pool in list(self._pools.items()):
            if not pool.active and now - pool.idle_since >= seconds:
                del self._pools[key]
                await pool.http.aclose()
        functions = {function_id for function_id, _ in self._pools}
        self._resolvers = {key: resolver for key, resolver in self._resolvers.items() if key in functions}

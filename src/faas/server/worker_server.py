"""The HTTP server of one of several workers: it shares the listening socket, and retires without failing a request."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from faas.server.acceptor import Acceptor, CountedConnections
from faas.server.server import KEEP_ALIVE_SECONDS, HttpServer
from faas.server.shutdown import GracefulShutdown
from faas.shared_limits import SharedConnections

_LOOK_SECONDS = 0.05


class WorkerServer(HttpServer):
    """HttpServer that accepts its share of the connections of the socket, and calls `on_started` when it does."""

    def __init__(
        self,
        application: Any,
        protocol: Callable[..., Any],
        shutdown: GracefulShutdown,
        *,
        ssl_context: ssl.SSLContext | None,
        connections: SharedConnections,
        on_started: Callable[[], None],
    ) -> None:
        super().__init__(application, protocol, shutdown, ssl_context=ssl_context)
        self._connections = CountedConnections(connections)
        self.server_state.connections = self._connections  # type: ignore[assignment] # as a set of protocols
        self._on_started = on_started
        self._acceptor: Acceptor | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept on the first of `sockets`; called by uvicorn."""
        await super().startup(sockets=[])
        assert sockets

        def create_protocol() -> asyncio.Protocol:
            created: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return created

        self._acceptor = Acceptor(sockets[0], create_protocol, self._connections, self.config.ssl)
        self.servers.append(self._acceptor)  # type: ignore[arg-type] # uvicorn closes it and waits for that
        self._acceptor.start()
        self._on_started()

    async def retire(self) -> None:
        """Take no more connections, and return when those that are open are closed, or idle as before a shutdown.

        Each connection ends with its next answer, which tells the client. One that is idle is not closed here: its
        client may be sending a request. The keep-alive timeout closes it, as always.
        """
        if self._acceptor is not None:
            self._acceptor.close()
        loop = asyncio.get_running_loop()
        end = loop.time() + KEEP_ALIVE_SECONDS + 1
        while self._connections.number and loop.time() < end and not self.should_exit:
            for connection in list(self._connections):
                connection.retire()  # type: ignore[attr-defined] # a LimitedHttpProtocol
            await asyncio.sleep(_LOOK_SECONDS)

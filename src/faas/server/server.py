"""The HTTP server: its listening socket, uvicorn's configuration, and the garbage collector of a serving process."""

import contextlib
import errno
import gc
import math
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from faas.errors import ConfigurationError
from faas.server.shutdown import ANSWER_SECONDS, GracefulShutdown

KEEP_ALIVE_SECONDS = 5  # for which an idle connection is kept open
_BACKLOG_CONNECTIONS = 2048
_GC_THRESHOLD_OBJECTS = 10_000  # allocations beyond deallocations that start a collection of the youngest generation


class HttpServer(uvicorn.Server):
    """uvicorn that a GracefulShutdown stops. It installs no signal handlers and runs no lifespan protocol."""

    def __init__(
        self,
        application: Any,
        protocol: Callable[..., Any],
        shutdown: GracefulShutdown,
        *,
        keep_alive_seconds: int = KEEP_ALIVE_SECONDS,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        """Serve over TLS if there is an `ssl_context`."""
        super().__init__(
            uvicorn.Config(
                application,
                http=protocol,  # type: ignore[arg-type] # declared as a class; uvicorn only calls it
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # the address of a client is not used
                timeout_keep_alive=keep_alive_seconds,
                backlog=_BACKLOG_CONNECTIONS,
                ssl_context_factory=None if ssl_context is None else lambda _config, _default: ssl_context,
            )
        )
        self._graceful_shutdown = shutdown

    async def serve_until_shutdown(self, listening: socket.socket, *, interrupt: Callable[[], None]) -> None:
        """Serve on `listening`, which is closed in the end. `interrupt` ends the guests at the deadline."""
        self._graceful_shutdown.start_serving(drain=self.drain, interrupt=interrupt, abort=self.abort)
        await self.serve(sockets=[listening])

    def drain(self) -> None:
        """Take no more connections, and end when those that are open have their answers."""
        self.should_exit = True

    def abort(self) -> None:
        """End without waiting for any answer."""
        self.should_exit = True
        self.force_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to GracefulShutdown, which also handles them before and after uvicorn runs."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for the open connections; called by uvicorn. Requests that outlast the deadline are cancelled."""
        remaining = math.ceil(self._graceful_shutdown.remaining_seconds())
        self.config.timeout_graceful_shutdown = remaining + ANSWER_SECONDS
        await super().shutdown(sockets)


def bind_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises ConfigurationError.

    Called before anything else is started, so that a port in use is reported at once.
    """
    try:
        return _listen(host, port)
    except UnicodeError:
        raise ConfigurationError(f"cannot listen on {host!r}: not a host name or an address") from None
    except OSError as error:
        hint = "; choose another with --port" if error.errno == errno.EADDRINUSE else ""
        raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}{hint}") from None


def _listen(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, proto, _, address = found[0]
    listening = socket.socket(family, kind, proto)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG_CONNECTIONS)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def tune_garbage_collector() -> None:
    """Exempt all present objects from collection, and collect less often than Python does by default.

    Objects created during start-up live as long as the process; the default threshold is made for small programs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD_OBJECTS, *gc.get_threshold()[1:])

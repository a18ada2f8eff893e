"""Accepting connections from a socket on which other processes accept, too: each takes about as many as the others.

asyncio accepts all that is in the queue in one go, so that one process would get the connections of all clients that
come together. Here a process takes one at a time, and leaves it to the others if one of them has fewer connections.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable

import structlog

from faas.shared_limits import SharedConnections

log = structlog.get_logger()

_TURN_SECONDS = 0.005  # in which a process with fewer connections may take one
_RETRY_SECONDS = 1.0  # after an error of this process, such as too many open files
_OWN_ERRORS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class CountedConnections(set[asyncio.Protocol]):
    """The open connections of this process, whose number the others see."""

    def __init__(self, shared: SharedConnections) -> None:
        super().__init__()
        self._shared = shared
        self.accepting: set[asyncio.Task[None]] = set()
        self.published = False

    @property
    def number(self) -> int:
        """How many are open, or about to be."""
        return len(self) + len(self.accepting)

    def publish(self) -> None:
        """Let the others see the number, until `withdraw`."""
        self.published = True
        self._shared.publish(self.number)

    def withdraw(self) -> None:
        """Let the others see that this process takes no more."""
        self.published = False
        self._shared.withdraw()

    @property
    def has_least(self) -> bool:
        """Whether no other process has fewer."""
        return self._shared.has_least(self.number)

    def discard(self, connection: object) -> None:
        """Remove one that is closed."""
        super().discard(connection)
        if self.published:
            self._shared.publish(self.number)


class Acceptor:
    """Accepts on `listening`, which does not block, from `start` to `close`. It has what uvicorn uses of a server."""

    def __init__(
        self,
        listening: socket.socket,
        create_protocol: Callable[[], asyncio.Protocol],
        connections: CountedConnections,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        self._listening = listening
        self._create_protocol = create_protocol
        self._connections = connections
        self._ssl_context = ssl_context
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._has_waited = False
        self._closed = False

    def start(self) -> None:
        """Begin to accept."""
        self._connections.publish()
        self._watch()

    def close(self) -> None:
        """Accept no more. Connections in the queue of the socket are for the other processes."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._listening.fileno())
        self._connections.withdraw()

    async def wait_closed(self) -> None:
        """Give up the connections that have not finished their handshake."""
        accepting = list(self._connections.accepting)
        for task in accepting:
            task.cancel()
        await asyncio.gather(*accepting, return_exceptions=True)

    def _watch(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listening.fileno(), self._on_readable)

    def _watch_later(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._timer = self._loop.call_later(seconds, self._watch)

    def _on_readable(self) -> None:
        # One that has fewer connections has its turn first; if it does not come, it is busy or stopped.
        if not self._has_waited and not self._connections.has_least:
            self._has_waited = True
            self._watch_later(_TURN_SECONDS)
            return
        self._has_waited = False
        try:
            connection, _ = self._listening.accept()
        except OSError as error:  # BlockingIOError: another process was first; others: the client is gone
            if error.errno in _OWN_ERRORS:
                log.error("connection.accept_failed", error=str(error), retry_in=_RETRY_SECONDS)
                self._watch_later(_RETRY_SECONDS)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._open(connection))
        self._connections.accepting.add(task)
        self._connections.publish()
        task.add_done_callback(self._on_open)

    async def _open(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._create_protocol, connection, ssl=self._ssl_context)
        except OSError as error:  # of a handshake, too
            log.debug("connection.not_opened", error=str(error))
            connection.close()

    def _on_open(self, task: asyncio.Task[None]) -> None:
        self._connections.accepting.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("connection.not_opened", exc_info=error)
        if self._connections.published:
            self._connections.publish()

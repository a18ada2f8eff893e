"""The LISTEN connection: turns notifications of Postgres into events that wake the consumers."""

import asyncio
from collections.abc import Iterable

import asyncpg
import structlog

from faas.database.pool import TRANSIENT_ERRORS
from faas.database.session import connect
from faas.queue.pgmq import channel

log = structlog.get_logger()

_FIRST_RECONNECT_PAUSE_SECONDS = 0.1
_MAX_RECONNECT_PAUSE_SECONDS = 5.0
_KEEP_ALIVE_SECONDS = 10.0


class Listener:
    """Keeps one connection listening while `run` runs; sets `event(queue)` when a message was sent to that queue.

    All events are also set after each (re)connect, so that messages sent while it was disconnected are read.
    """

    def __init__(self, url: str, queues: Iterable[str]) -> None:
        self._url = url
        self._events = {queue: asyncio.Event() for queue in queues}
        self.connected = False

    def event(self, queue: str) -> asyncio.Event:
        """Return the event that is set when `queue` has messages; the consumer clears it before it reads."""
        return self._events[queue]

    async def run(self) -> None:
        """Listen until cancelled; reconnect with a growing pause when the connection is lost."""
        pause = _FIRST_RECONNECT_PAUSE_SECONDS
        while True:
            try:
                await self._listen()
            except (*TRANSIENT_ERRORS, asyncpg.PostgresError) as error:
                log.warning("listener.disconnected", error=f"{type(error).__name__}: {error}", retry_in=pause)
            finally:
                if self.connected:
                    self.connected, pause = False, _FIRST_RECONNECT_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(pause * 2, _MAX_RECONNECT_PAUSE_SECONDS)

    async def _listen(self) -> None:
        connection = await connect(self._url, "faas listener")
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            for queue, event in self._events.items():
                await connection.add_listener(channel(queue), lambda *_, event=event: event.set())
            self.connected = True
            for event in self._events.values():
                event.set()
            while not lost.is_set():
                # A closed socket ends the wait at once; a peer that vanished without closing it is detected by a query.
                try:
                    await asyncio.wait_for(lost.wait(), _KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    await connection.execute("SELECT 1", timeout=5)
        finally:
            connection.terminate()

"""LISTEN on a connection of its own: turns the database's notifications into events that consumers wait on."""

import asyncio
from collections.abc import Iterable

import asyncpg
import structlog

from faas.database.pool import TRANSIENT_ERRORS
from faas.queue.pgmq import channel

log = structlog.get_logger()


class Listener:
    """`run` keeps one connection listening; `event(queue)` is set whenever something was sent to that queue.

    Every event is also set after each (re)connect: what was sent while nobody listened is found then.
    """

    def __init__(self, url: str, queues: Iterable[str]) -> None:
        self._url = url
        self._events = {queue: asyncio.Event() for queue in queues}
        self.connected = False

    def event(self, queue: str) -> asyncio.Event:
        """Set when `queue` should be read; the consumer clears it before it reads."""
        return self._events[queue]

    async def run(self) -> None:
        """Listen until cancelled; reconnect with a growing pause (0.1 s to 5 s) when the connection is lost."""
        pause = 0.1
        while True:
            try:
                await self._listen()
            except (*TRANSIENT_ERRORS, asyncpg.PostgresError) as error:
                log.warning("listener.disconnected", error=f"{type(error).__name__}: {error}", retry_in=pause)
            finally:
                if self.connected:
                    self.connected, pause = False, 0.1
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._url, timeout=10, server_settings={"application_name": "faas listener"})
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            for queue, event in self._events.items():
                await connection.add_listener(channel(queue), lambda *_, event=event: event.set())
            self.connected = True
            for event in self._events.values():
                event.set()
            while not lost.is_set():
                # A peer that vanished without a word is noticed by asking; a closed socket ends the wait at once.
                try:
                    await asyncio.wait_for(lost.wait(), 10)
                except TimeoutError:
                    await connection.execute("SELECT 1", timeout=5)
        finally:
            connection.terminate()

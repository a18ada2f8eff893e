"""The one consumer loop: read, handle several messages at once, extend, give back, give up.

A handler ends a message itself, inside the transaction that also holds its effects. What it raises leaves the message
in the queue: it is hidden for a growing pause and read again, at most `READS_LIMIT` times, by whoever is first.
"""

import asyncio
import math
from typing import Protocol

import structlog

from faas.database.pool import TRANSIENT_ERRORS, Pool
from faas.errors import DatabaseUnavailable
from faas.queue import pgmq
from faas.queue.pgmq import Message

log = structlog.get_logger()

READS_LIMIT = 5
_RETRY_PAUSE_LIMIT = 8


class Handler(Protocol):
    """What a consumer does with the messages of one queue."""

    async def handle(self, message: Message) -> None:
        """Do the work and archive the message, in one transaction."""

    async def give_up(self, message: Message, reason: str) -> None:
        """Archive a message that was read too often, with `reason`, and tell whoever waits for it."""


class Consumer:
    """Reads one queue. `run` until `stop`; what is being handled then is finished first."""

    def __init__(
        self,
        pool: Pool,
        queue: str,
        handler: Handler,
        wake: asyncio.Event,
        *,
        concurrency: int,
        visibility_timeout: float,
        poll_interval: float,
    ) -> None:
        self._pool = pool
        self._queue = queue
        self._handler = handler
        self._wake = wake
        self._concurrency = concurrency
        self._visibility = math.ceil(visibility_timeout)
        self._poll_interval = poll_interval
        self._working: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self.healthy = False
        self.first_read = asyncio.Event()

    async def run(self) -> None:
        """Consume until `stop`. Never ends because of a message or of the database being away."""
        while not self._stop.is_set():
            self._wake.clear()
            free = self._concurrency - len(self._working)
            messages = await self._read(free) if free else []
            if self._stop.is_set():
                for message in messages:
                    await self._set_visibility(message, 0)
                break
            for message in messages:
                task = asyncio.create_task(self._work(message), name=f"{self._queue}:{message.id}")
                self._working.add(task)
                task.add_done_callback(self._finished)
            if free and len(messages) == free and len(self._working) < self._concurrency:
                continue
            await self._sleep()
        if self._working:
            await asyncio.wait(self._working)

    def stop(self) -> None:
        """Read no more; `run` returns once the messages in hand are done."""
        self._stop.set()
        self._wake.set()

    def cancel(self) -> None:
        """Drop the messages in hand: they go back to the queue at once."""
        self.stop()
        for task in self._working:
            task.cancel()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._wake.set()

    async def _sleep(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), self._poll_interval)
        except TimeoutError:
            return

    async def _read(self, limit: int) -> list[Message]:
        try:
            async with self._pool.acquire(timeout=10) as connection:
                messages = await pgmq.read(connection, self._queue, limit=limit, visibility=self._visibility)
        except Exception as error:  # noqa: BLE001 - the loop outlives whatever a read meets
            if self.healthy or not isinstance(error, TRANSIENT_ERRORS):
                log.warning("queue.unreadable", queue=self._queue, error=f"{type(error).__name__}: {error}")
            self.healthy = False
            await asyncio.sleep(0.5)
            self._wake.set()
            return []
        self.healthy = True
        self.first_read.set()
        return messages

    async def _work(self, message: Message) -> None:
        if message.request_id:  # this task's context ends with it
            structlog.contextvars.bind_contextvars(request_id=message.request_id)
        extending = asyncio.create_task(self._extend(message))
        try:
            if message.read_count > READS_LIMIT:
                reason = f"given up after {READS_LIMIT} attempts"
                log.error("queue.given_up", queue=self._queue, message_id=message.id)
                await self._handler.give_up(message, reason)
            else:
                await self._handler.handle(message)
        except asyncio.CancelledError:
            await self._give_back(message, 0, extending)
            raise
        except Exception as error:
            pause = min(2 ** (message.read_count - 1), _RETRY_PAUSE_LIMIT)
            transient = isinstance(error, (*TRANSIENT_ERRORS, DatabaseUnavailable))
            log.warning(
                "queue.handler_failed",
                queue=self._queue,
                message_id=message.id,
                attempt=message.read_count,
                retry_in=pause,
                error=f"{type(error).__name__}: {error}",
                exc_info=not transient,
            )
            await self._give_back(message, pause, extending)
            # Nothing notifies when a hidden message reappears; here we know when.
            asyncio.get_running_loop().call_later(pause + 0.05, self._wake.set)
        finally:
            extending.cancel()

    async def _extend(self, message: Message) -> None:
        """Keep the message hidden while it is worked on. Three chances to do so before it would reappear."""
        while True:
            await asyncio.sleep(self._visibility / 4)
            await self._set_visibility(message, self._visibility)

    async def _give_back(self, message: Message, seconds: int, extending: asyncio.Task[None]) -> None:
        extending.cancel()  # and wait: an extension under way must not be the last word
        await asyncio.gather(extending, return_exceptions=True)
        await self._set_visibility(message, seconds)

    async def _set_visibility(self, message: Message, seconds: int) -> None:
        try:
            async with self._pool.acquire(timeout=5) as connection:
                await pgmq.set_visibility(connection, self._queue, message.id, seconds)
        except Exception as error:  # noqa: BLE001 - then it reappears when its visibility timeout ends
            log.warning("queue.visibility_unset", queue=self._queue, message_id=message.id, error=str(error))

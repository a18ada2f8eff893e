"""The consumer loop of a queue: concurrent handlers, visibility timeout, retries with backoff, dead letters.

A handler archives its message in the transaction that holds the handler's effects. When a handler raises, the message
stays in the queue: it is hidden for a growing pause and then redelivered, at most `MAX_DELIVERIES` times, to any
consumer of the queue. After that it becomes a dead letter.
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

MAX_DELIVERIES = 5
_MAX_RETRY_PAUSE_SECONDS = 8
_READ_ERROR_PAUSE_SECONDS = 0.5


class Handler(Protocol):
    """Processes the messages of one queue."""

    async def handle(self, message: Message) -> None:
        """Process `message` and archive it, in one transaction. An exception causes a redelivery."""

    async def dead_letter(self, message: Message, reason: str) -> None:
        """Archive `message` as a dead letter with `reason`, and fail the function that waits for it."""


class Consumer:
    """Reads one queue and runs up to `concurrency` handlers at once. Times are in seconds.

    `run` consumes until `stop` (which lets running handlers finish) or `cancel` (which does not).
    """

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
        self._visibility_timeout = math.ceil(visibility_timeout)
        self._poll_interval = poll_interval
        self._running: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        # The last read had no place for more messages: there may be some, which no notification announces again. Else a
        # read after each message would find nothing, and cost as much as one that finds a message.
        self._more = True
        self.healthy = False
        self.first_read = asyncio.Event()

    async def run(self) -> None:
        """Consume until `stop` or `cancel`. Neither a failing handler nor an unreachable database ends the loop."""
        while not self._stop.is_set():
            self._wake.clear()
            free = self._concurrency - len(self._running)
            messages = await self._read(free) if free else []
            self._more = len(messages) == free
            if self._stop.is_set():
                for message in messages:
                    await self._set_visibility_timeout(message, 0)
                break
            for message in messages:
                task = asyncio.create_task(self._process(message), name=f"{self._queue}:{message.id}")
                self._running.add(task)
                task.add_done_callback(self._on_done)
            if free and len(messages) == free and len(self._running) < self._concurrency:
                continue
            await self._wait_for_wake()
        if self._running:
            await asyncio.wait(self._running)

    def stop(self) -> None:
        """Stop reading; `run` returns when the running handlers have finished."""
        self._stop.set()
        self._wake.set()

    def cancel(self) -> None:
        """Stop reading and cancel the running handlers; their messages become visible at once."""
        self.stop()
        for task in self._running:
            task.cancel()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self._more:
            self._wake.set()

    async def _wait_for_wake(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), self._poll_interval)
        except TimeoutError:
            return

    async def _read(self, limit: int) -> list[Message]:
        try:
            async with self._pool.acquire(timeout=10) as connection:
                messages = await pgmq.read(
                    connection, self._queue, limit=limit, visibility_timeout=self._visibility_timeout
                )
        except Exception as error:  # noqa: BLE001 - no error of a read may end the loop
            if self.healthy or not isinstance(error, TRANSIENT_ERRORS):
                log.warning("queue.read_failed", queue=self._queue, error=f"{type(error).__name__}: {error}")
            self.healthy = False
            await asyncio.sleep(_READ_ERROR_PAUSE_SECONDS)
            self._wake.set()
            return []
        self.healthy = True
        self.first_read.set()
        return messages

    async def _process(self, message: Message) -> None:
        if message.request_id:  # bound in this task's context only
            structlog.contextvars.bind_contextvars(request_id=message.request_id)
        extension = asyncio.create_task(self._extend_visibility_timeout(message))
        try:
            if message.read_count > MAX_DELIVERIES:
                reason = f"failed after {MAX_DELIVERIES} attempts"
                log.error("message.dead_lettered", queue=self._queue, message_id=message.id, reason=reason)
                await self._handler.dead_letter(message, reason)
            else:
                await self._handler.handle(message)
        except asyncio.CancelledError:
            await self._return_to_queue(message, 0, extension)
            raise
        except Exception as error:
            pause = min(2 ** (message.read_count - 1), _MAX_RETRY_PAUSE_SECONDS)
            transient = isinstance(error, (*TRANSIENT_ERRORS, DatabaseUnavailable))
            log.warning(
                "message.handling_failed",
                queue=self._queue,
                message_id=message.id,
                attempt=message.read_count,
                retry_in=pause,
                error=f"{type(error).__name__}: {error}",
                exc_info=not transient,
            )
            await self._return_to_queue(message, pause, extension)
            # Postgres sends no notification when a hidden message becomes visible again.
            asyncio.get_running_loop().call_later(pause + 0.05, self._wake.set)
        finally:
            extension.cancel()

    async def _extend_visibility_timeout(self, message: Message) -> None:
        """Extend the visibility timeout every quarter of it, so that three extensions may fail before a redelivery."""
        while True:
            await asyncio.sleep(self._visibility_timeout / 4)
            await self._set_visibility_timeout(message, self._visibility_timeout)

    async def _return_to_queue(self, message: Message, seconds: int, extension: asyncio.Task[None]) -> None:
        """Make the message visible again in `seconds`."""
        extension.cancel()  # and wait for it: a statement in progress must not overwrite the new timeout
        await asyncio.gather(extension, return_exceptions=True)
        await self._set_visibility_timeout(message, seconds)

    async def _set_visibility_timeout(self, message: Message, seconds: int) -> None:
        try:
            async with self._pool.acquire(timeout=5) as connection:
                await pgmq.set_visibility_timeout(connection, self._queue, message.id, seconds)
        except Exception as error:  # noqa: BLE001 - the message becomes visible when its current timeout ends
            log.warning(
                "visibility_timeout.extension_failed", queue=self._queue, message_id=message.id, error=str(error)
            )

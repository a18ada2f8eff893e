"""Group commit: items submitted while a write is in progress are written together by the next one.

Group commit without a delay: an idle queue writes at once; under load, batches grow with the database's latency.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Collects submitted items into batches and passes each batch to `write`.

    At most `concurrency` writes run at once. A batch has at most `max_items` items and at most `max_bytes` bytes; an
    item larger than that is a batch of its own. `write` returns one result for each item, in their order; an exception
    that it raises is raised to the submitter of each of them. Use from one event loop.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        concurrency: int,
        max_items: int,
        max_bytes: int,
    ) -> None:
        self._write = write
        self._concurrency = concurrency
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._queue: deque[tuple[T, int, asyncio.Future[R]]] = deque()
        self._active_writers = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop keeps only weak references to tasks

    def submit(self, item: T, size: int) -> "asyncio.Future[R]":
        """Queue an item of `size` bytes. The future has its result once its batch is written.

        A cancelled future does not affect the other items of its batch.
        """
        future = asyncio.get_running_loop().create_future()
        self._queue.append((item, size, future))
        if self._active_writers < self._concurrency:
            self._active_writers += 1
            task = asyncio.create_task(self._write_batches())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def _write_batches(self) -> None:
        while self._queue:
            batch = self._next_batch()
            try:
                results = await self._write([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - passed on to each submitter, who handles it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
        # There is no await since the queue was found empty, so the next submit() starts a new writer.
        self._active_writers -= 1

    def _next_batch(self) -> list[tuple[T, "asyncio.Future[R]"]]:
        item, size, future = self._queue.popleft()
        batch = [(item, future)]
        while self._queue and len(batch) < self._max_items:
            size += self._queue[0][1]
            if size > self._max_bytes:
                break
            item, _, future = self._queue.popleft()
            batch.append((item, future))
        return batch

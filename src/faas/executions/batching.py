"""Many writes as one: what arrives while a write is under way goes into the next one.

Nothing waits for company. A lone item is written at once; under load a batch is as large as the database is slow.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batches(Generic[T, R]):
    """Hands submitted items to `write` in up to `writers` calls at once: up to `largest` items at a time, and no more
    bytes than `heaviest` unless one item alone has them.

    `write` gives one result for each item, in their order; what it raises is raised to each of them.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        writers: int,
        largest: int,
        heaviest: int,
    ) -> None:
        self._write = write
        self._writers = writers
        self._largest = largest
        self._heaviest = heaviest
        self._waiting: deque[tuple[T, int, asyncio.Future[R]]] = deque()
        self._working = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop itself holds them weakly

    def submit(self, item: T, size: int) -> "asyncio.Future[R]":
        """The result of an item of `size` bytes, as soon as the batch is written that it went into."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((item, size, future))
        if self._working < self._writers:
            self._working += 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return future

    async def _work(self) -> None:
        while self._waiting:
            batch = self._next()
            try:
                results = await self._write([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - it is the submitters', each of whom gets it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
        self._working -= 1  # right after it saw that nothing waits: who comes now starts another

    def _next(self) -> list[tuple[T, "asyncio.Future[R]"]]:
        item, size, future = self._waiting.popleft()
        batch = [(item, future)]
        while self._waiting and len(batch) < self._largest:
            size += self._waiting[0][1]
            if size > self._heaviest:
                break
            item, _, future = self._waiting.popleft()
            batch.append((item, future))
        return batch

"""Confined processes of one kind: started when needed, used again, replaced when they break a limit or grow old."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from faas.sandbox.worker import WorkerProcess

_REQUESTS_PER_PROCESS = 500  # then a fresh one: no heap grows for ever


class WorkerPool:
    """Up to `size` processes made by `make`, each answering one request at a time."""

    def __init__(self, make: Callable[[], WorkerProcess], size: int) -> None:
        self._make = make
        # Last in, first out: the process that answered last has warm caches, and a second one starts only when needed.
        self._free: asyncio.LifoQueue[WorkerProcess | None] = asyncio.LifoQueue()
        for _ in range(size):
            self._free.put_nowait(None)
        self.processes: set[WorkerProcess] = set()
        self.state = "WARMING"

    async def warm(self) -> None:
        """Start the first process, so that the first request need not wait for it."""
        await self._release(await self._take())

    async def ask(self, request: bytes, timeout: float) -> bytes:
        """The answer of a free process within `timeout` seconds, not counting the wait for one.

        Raises LimitReached, WorkerDied, or what `make` raises.
        """
        process = await self._take()
        try:
            return await process.ask(request, timeout)
        finally:
            # Also when we are cancelled half-way: the process is then of no more use.
            await self._release(process)

    async def retire(self) -> None:
        """Replace the processes that wait: for when an answer says that its process is not to be used again."""
        waiting = []
        while not self._free.empty():
            waiting.append(self._free.get_nowait())
        for process in waiting:
            if process is not None:
                await self._drop(process)
            self._free.put_nowait(None)

    async def close(self) -> None:
        """Kill every process."""
        for process in list(self.processes):
            await self._drop(process)

    async def _take(self) -> WorkerProcess:
        process = await self._free.get()
        if process is not None and process.usable:
            return process
        try:
            if process is not None:
                await self._drop(process)
            process = self._make()
            self.processes.add(process)
            await process.start()
        except BaseException as error:
            if process is not None:
                with suppress(Exception):
                    await self._drop(process)
            self._free.put_nowait(None)  # the place in the pool is not lost
            if isinstance(error, Exception):
                self.state = f"DOWN: {error}"
            raise
        self.state = "UP"
        return process

    async def _release(self, process: WorkerProcess) -> None:
        keep = process.usable and process.asked < _REQUESTS_PER_PROCESS
        if not keep:
            await self._drop(process)
        self._free.put_nowait(process if keep else None)

    async def _drop(self, process: WorkerProcess) -> None:
        self.processes.discard(process)
        await process.kill()

"""Confined processes of one kind: started when needed, used again, replaced when they break a limit or grow old."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from faas.sandbox.worker import WorkerDied, WorkerProcess

log = structlog.get_logger()

_REQUESTS_PER_PROCESS = 500  # then a fresh one: no heap grows for ever
_NEXT_TRY = 5.0  # seconds


class WorkerPool:
    """Up to `size` processes made by `make`, each answering one request at a time."""

    def __init__(self, make: Callable[[], WorkerProcess], size: int) -> None:
        self._make = make
        self._places = asyncio.Semaphore(size)  # a request in hand has one, and whoever starts a process for later
        self._idle: list[WorkerProcess] = []  # last in, first out: the one that answered last has warm caches
        self._starting = False
        self._changed = asyncio.Condition()
        self.processes: set[WorkerProcess] = set()
        self.state = "WARMING"

    async def warm(self, count: int = 1) -> None:
        """Start processes, one after the other, until there are `count`: requests then need not wait for them."""
        for process in [process for process in self._idle if not process.usable]:  # it died while nobody asked it
            self._idle.remove(process)
            await self._drop(process)
        while len(self.processes) < count:
            async with self._places:
                await self._put(await self._start())

    async def keep_ready(self, count: int = 1, next_try: float = _NEXT_TRY) -> None:
        """Warm up, and look every `next_try` seconds whether `count` processes are still there. Until cancelled.

        Otherwise a pool that was DOWN once would say so until somebody asked it, and who is DOWN is not asked. All but
        the first are started at the second look: the first request after a start has the processors to itself.
        """
        wanted = 1
        while True:
            try:
                await self.warm(wanted)
                wanted = count
            except (WorkerDied, OSError) as error:
                log.error("worker.not_started", error=str(error))
            await asyncio.sleep(next_try)

    async def ask(self, request: bytes, timeout: float) -> bytes:
        """The answer of a free process within `timeout` seconds, not counting the wait for one.

        Raises LimitReached, WorkerDied, or what `make` raises.
        """
        async with self._places:
            process = await self._take()
            try:
                return await process.ask(request, timeout)
            finally:
                # Also when we are cancelled half-way: the process is then of no more use.
                await self._put(process)

    async def retire(self) -> None:
        """Replace the idle processes: for when an answer says that its process is not to be used again."""
        idle, self._idle = self._idle, []
        for process in idle:
            await self._drop(process)

    async def close(self) -> None:
        """Kill every process."""
        for process in list(self.processes):
            await self._drop(process)

    async def _take(self) -> WorkerProcess:
        """An idle process, or a new one. One starts at a time: two at once, on few processors, are both late."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._idle or not self._starting)
                process = self._idle.pop() if self._idle else None
            if process is None:
                return await self._start()
            if process.usable:
                return process
            await self._drop(process)

    async def _start(self) -> WorkerProcess:
        async with self._changed:
            await self._changed.wait_for(lambda: not self._starting)
            self._starting = True
        process = None
        try:
            process = self._make()
            self.processes.add(process)
            await process.start()
        except BaseException as error:
            if process is not None:
                with suppress(Exception):
                    await self._drop(process)
            if isinstance(error, Exception):
                self.state = f"DOWN: {error}"
            raise
        else:
            self.state = "UP"
            return process
        finally:
            self._starting = False
            async with self._changed:
                self._changed.notify_all()

    async def _put(self, process: WorkerProcess) -> None:
        if process.usable and process.asked < _REQUESTS_PER_PROCESS:
            self._idle.append(process)
        else:
            await self._drop(process)
        async with self._changed:
            self._changed.notify_all()

    async def _drop(self, process: WorkerProcess) -> None:
        self.processes.discard(process)
        await process.kill()

"""A pool of worker processes: started on demand, reused, and replaced when they exceed a limit or grow old."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from faas.sandbox.worker import WorkerDied, WorkerProcess

log = structlog.get_logger()

_MAX_REQUESTS_PER_PROCESS = 500  # bounds the growth of a process's heap
_CHECK_INTERVAL_SECONDS = 5.0


class WorkerPool:
    """Up to `size` processes made by `make`, each of which answers one request at a time.

    `state` is `UP`, `WARMING` before the first process is ready, or `DOWN: <reason>` after a failed start.
    """

    def __init__(self, make: Callable[[], WorkerProcess], size: int) -> None:
        self._make = make
        self._slots = asyncio.Semaphore(size)  # held during a request, and while warm-up starts a process
        self._idle: list[WorkerProcess] = []  # last in, first out: the most recently used has warm caches
        self._starting = False
        self._changed = asyncio.Condition()
        self.processes: set[WorkerProcess] = set()
        self.state = "WARMING"

    async def warm_up(self, count: int = 1) -> None:
        """Start processes, one after the other, until there are `count`. Raises WorkerDied, or what `make` raises."""
        for process in [process for process in self._idle if not process.usable]:  # it died while idle
            self._idle.remove(process)
            await self._discard(process)
        while len(self.processes) < count:
            async with self._slots:
                await self._release(await self._start())

    async def keep_warm(self, count: int = 1, check_interval: float = _CHECK_INTERVAL_SECONDS) -> None:
        """Warm up, and check every `check_interval` seconds that there are still `count` processes. Until cancelled.

        Without the check a pool that was DOWN once would stay DOWN, because a pool that is DOWN gets no requests.
        Starts one worker now and the others at the next check, so that start-up does not compete with the first
        request for processors.
        """
        wanted = 1
        while True:
            try:
                await self.warm_up(wanted)
                wanted = count
            except (WorkerDied, OSError) as error:
                log.error("worker.start_failed", error=str(error))
            await asyncio.sleep(check_interval)

    async def request(self, content: bytes, timeout: float) -> bytes:
        """Return the answer of a process to `content` within `timeout` seconds, from when a process is free.

        Raises LimitReached, WorkerDied, or what `make` raises.
        """
        async with self._slots:
            process = await self._acquire()
            try:
                return await process.request(content, timeout)
            finally:
                # Also after a cancellation: the process is then no longer usable and is discarded.
                await self._release(process)

    async def discard_idle(self) -> None:
        """Kill the idle processes, for an answer that shows that its process must not be reused."""
        idle, self._idle = self._idle, []
        for process in idle:
            await self._discard(process)

    async def close(self) -> None:
        """Kill all processes."""
        for process in list(self.processes):
            await self._discard(process)

    async def _acquire(self) -> WorkerProcess:
        """Return an idle process, or a new one. Starts do not overlap: on few processors both would be late."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._idle or not self._starting)
                process = self._idle.pop() if self._idle else None
            if process is None:
                return await self._start()
            if process.usable:
                return process
            await self._discard(process)

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
                    await self._discard(process)
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

    async def _release(self, process: WorkerProcess) -> None:
        if process.usable and process.requests < _MAX_REQUESTS_PER_PROCESS:
            self._idle.append(process)
        else:
            await self._discard(process)
        async with self._changed:
            self._changed.notify_all()

    async def _discard(self, process: WorkerProcess) -> None:
        self.processes.discard(process)
        await process.kill()

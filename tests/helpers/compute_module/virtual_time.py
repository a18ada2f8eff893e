"""An event loop whose clock jumps to the next timer instead of waiting: back-offs take no time and can be asserted."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Never waits for a timer, only for threads and sockets that are really at work."""

    skipped = 0.0
    threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or self.threads:
            return super().select(None if timeout is None else min(timeout, 0.01))
        ready = super().select(0)
        if not ready and timeout > 0:
            self.skipped += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`loop.time()` counts what would have been waited. Not for tests with sockets: those are not waited for."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.skipped

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        self._virtual.threads += 1
        future = super().run_in_executor(executor, func, *args)

        def done(_: object) -> None:
            self._virtual.threads -= 1

        future.add_done_callback(done)
        return future

    async def shutdown_default_executor(self, *arguments: Any) -> None:
        """Wait for the threads in real time: Python 3.13 limits this wait by the clock of the loop."""
        self._virtual.threads += 1
        try:
            await super().shutdown_default_executor(*arguments)
        finally:
            self._virtual.threads -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    """Virtual seconds since the loop began."""
    return asyncio.get_running_loop().time()

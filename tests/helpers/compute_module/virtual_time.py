"""An event loop whose clock jumps to the next timer instead of waiting, for tests of pauses and time limits."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Skips the wait for a timer, unless a thread is running."""

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
    """An event loop whose `time()` is the sum of the skipped waits. Not for tests with sockets, which it does not wait for."""

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
    """Run a coroutine in virtual time and return its result."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    """Return the virtual seconds since the loop started."""
    return asyncio.get_running_loop().time()

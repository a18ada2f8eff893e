"""The first SIGINT or SIGTERM of a command, as the orderly end of its work."""

import asyncio
import signal
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from faas.compute_module.errors import RunStopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignal:
    """A context manager that handles the first SIGINT or SIGTERM; a second one has its default effect.

    Used in the main thread, inside a running event loop.
    """

    def __init__(self) -> None:
        self._name: str | None = None
        self._received = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._receive, number.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._remove_handlers()

    async def wait(self) -> None:
        """Return when a signal has been received."""
        await self._received.wait()

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, and cancel it when a signal is received. Raises RunStopped when that ended it."""
        self._work = asyncio.ensure_future(work)
        try:
            await self._work
        except asyncio.CancelledError:
            if self._name is None:
                raise
            raise RunStopped(self._name) from None
        finally:
            self._work = None

    def _receive(self, name: str) -> None:
        self._remove_handlers()
        self._name = name
        self._received.set()
        if self._work:
            self._work.cancel()

    def _remove_handlers(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

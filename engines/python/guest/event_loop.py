"""asyncio without a system: an event loop whose timers sleep in the host, and that knows no files or sockets."""

import asyncio
import asyncio.base_events
import asyncio.events
import math
import time
from typing import Any

import _faas_host

from . import missing

NEVER_SETTLED = "the function awaits something that never completes: no timer and no task is left that could end it"


class NeverSettled(RuntimeError):
    """Raised when nothing is left that the event loop could wait for."""


def sleep(seconds: float, /) -> None:
    """Sleep for `seconds`, in the host and within the time limit; stands for time.sleep."""
    seconds = float(seconds)
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    if math.isnan(seconds):
        raise ValueError("Invalid value NaN (not a number)")
    _faas_host.sleep(seconds * 1000)


class _Selector:
    """Waits for the next timer."""

    def select(self, timeout: float | None = None) -> list[object]:
        """Sleep until the next timer. Raises NeverSettled when there is none."""
        if timeout is None:
            raise NeverSettled(NEVER_SETTLED)
        if timeout > 0:
            sleep(timeout)
        return []

    def get_map(self) -> dict[object, object]:
        """Return no files."""
        return {}

    def close(self) -> None:
        """Do nothing."""


class EventLoop(asyncio.base_events.BaseEventLoop):
    """The only kind of event loop that there is."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Selector()

    def _process_events(self, event_list: Any) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def run_in_executor(self, *_arguments: Any) -> Any:  # type: ignore[override]
        """Raise RuntimeError: there are no threads."""
        missing.refuse_threads()

    async def getaddrinfo(self, *_arguments: Any, **_options: Any) -> Any:
        """Raise OSError: there is no network."""
        missing.refuse_network()


def install() -> None:
    """Make EventLoop the loop of asyncio, and `sleep` that of time."""
    for module, names in ((asyncio.events, ("new_event_loop",)), (asyncio, ("new_event_loop", "EventLoop"))):
        for name in names:
            setattr(module, name, EventLoop)
    time.sleep = sleep  # type: ignore[assignment]

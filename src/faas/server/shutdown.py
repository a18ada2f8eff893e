"""Graceful shutdown: one deadline for the connections, the guests and the executions that are in flight.

starting ──signal──▶ the start is cancelled
serving ──signal──▶ draining ──deadline──▶ guests are interrupted ──ANSWER_SECONDS──▶ connections are closed
                        └──────signal────▶ guests are interrupted and connections are closed immediately
"""

import asyncio
import signal
from collections.abc import Callable

ANSWER_SECONDS = 2  # after the deadline, for recording and answering the executions that were interrupted


class GracefulShutdown:
    """Decides when the process stops: drains at the first signal until the deadline, stops at the second.

    Not thread-safe: everything runs on the event loop.
    """

    def __init__(self, grace_seconds: float, announce: Callable[[], None] = lambda: None) -> None:
        """`announce` is called when draining begins."""
        self._grace_seconds = grace_seconds
        self._announce = announce
        self._starting: asyncio.Task[object] | None = None
        self._deadline: float | None = None  # of the event loop's clock, from the first signal on
        self._timer: asyncio.TimerHandle | None = None  # until the deadline
        self._drain: Callable[[], None] = _do_nothing
        self._interrupt: Callable[[], None] = _do_nothing
        self._abort: Callable[[], None] = _do_nothing

    @property
    def is_starting(self) -> bool:
        """Whether a signal cancels the task that called `handle_signals`."""
        return self._starting is not None

    def handle_signals(self) -> None:
        """Handle SIGINT and SIGTERM from now on. Until `start_serving`, either cancels the current task."""
        self._starting = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.request)

    def start_serving(
        self, *, drain: Callable[[], None], interrupt: Callable[[], None], abort: Callable[[], None]
    ) -> None:
        """Say what a shutdown does.

        `drain` stops taking connections, `interrupt` ends the guests that run and all later ones, `abort` closes the
        connections without waiting for their answers.
        """
        self._starting = None
        self._drain, self._interrupt, self._abort = drain, interrupt, abort

    def request(self) -> None:
        """Shut down gracefully; immediately when it is the second request. Called by the signal handlers."""
        loop = asyncio.get_running_loop()
        if self._starting is not None:
            self._starting.cancel()
        elif self._deadline is None:
            self._deadline = loop.time() + self._grace_seconds
            self._announce()
            self._drain()
            self._timer = loop.call_at(self._deadline, self._interrupt)
        else:
            self._deadline = min(self._deadline, loop.time())
            self._abort()
            self._interrupt()

    def finish(self) -> None:
        """Interrupt no guests from now on: called before the runtime closes."""
        self._interrupt = _do_nothing
        if self._timer:
            self._timer.cancel()

    def remaining_seconds(self) -> float:
        """Return the time until the deadline, 0 when it has passed; the whole grace period before a first signal."""
        if self._deadline is None:
            return self._grace_seconds
        return max(0.0, self._deadline - asyncio.get_running_loop().time())


def _do_nothing() -> None:
    pass

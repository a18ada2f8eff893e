"""What it costs on this host to hand a guest to a thread and back, which is what running it inline saves."""

import asyncio
import threading
import time
from collections import defaultdict
from concurrent.futures import Executor
from itertools import pairwise

_TRIPS = 30
_AGE_SECONDS = 60.0  # after which the cost is measured again
# A guest on the event loop delays other requests by its own time. In a thread it costs a hand-off, and waits for the
# GIL as often as it takes it, up to 5 ms each time while the event loop is busy.
_WORTH = 16
LEAST_QUICK_SECONDS = 0.0005
GREATEST_QUICK_SECONDS = 0.005  # half a tick


class HandOff:
    """The measured cost of a hand-off in `executor`, and the bound below which a guest counts as quick.

    Until the first measurement the bound is the least one. Use `measure` from one event loop.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._measured_at: float | None = None
        self.quick_seconds = LEAST_QUICK_SECONDS

    @property
    def is_old(self) -> bool:
        """Whether the cost is to be measured (again)."""
        return self._measured_at is None or time.monotonic() - self._measured_at > _AGE_SECONDS

    async def measure(self) -> float:
        """Measure the cost: the processor time that both threads spend on a round trip, in seconds; return it.

        Not the time that passes, so that a busy host does not count as a slow one.
        """
        self._measured_at = time.monotonic()  # first, so that no second measurement begins
        loop = asyncio.get_running_loop()
        own: list[float] = []
        others: dict[int, list[float]] = defaultdict(list)
        for _ in range(_TRIPS):
            began = time.thread_time()
            thread, spent = await loop.run_in_executor(self._executor, _thread_seconds)
            own.append(time.thread_time() - began)
            others[thread].append(spent)
        trips = [later - before for spent in others.values() for before, later in pairwise(spent)]
        cost = _median(own) + _median(trips)
        self.quick_seconds = min(max(_WORTH * cost, LEAST_QUICK_SECONDS), GREATEST_QUICK_SECONDS)
        return cost


def _thread_seconds() -> tuple[int, float]:
    """Return the thread and its processor time so far."""
    return threading.get_ident(), time.thread_time()


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2] if values else 0.0

"""What it costs on this host to hand a guest to a thread and back, which is what running it inline saves."""

import asyncio
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import pairwise
from statistics import median

_TRIPS = 30
_AGE_SECONDS = 60.0  # after which the cost is measured again
# A guest on the event loop delays other requests by its own time. In a thread it costs a hand-off, and waits for the
# GIL as often as it takes it, up to 5 ms each time while the event loop is busy.
_WORTH = 16
LEAST_QUICK_SECONDS = 0.0005
GREATEST_QUICK_SECONDS = 0.005  # half of what an inline guest may take


class HandOff:
    """The measured cost of a hand-off, and the bound below which a guest counts as quick.

    Until the first measurement the bound is the least one. Use `measure` from one event loop.
    """

    def __init__(self) -> None:
        self._measured_at: float | None = None
        self.quick_seconds = LEAST_QUICK_SECONDS

    @property
    def is_old(self) -> bool:
        """Whether the cost is to be measured (again)."""
        return self._measured_at is None or time.monotonic() - self._measured_at > _AGE_SECONDS

    async def measure(self) -> float:
        """Measure the cost: the processor time that both threads spend on a round trip, in seconds; return it.

        Not the time that passes, so that a busy host does not count as a slow one. In threads of its own, and with an
        event loop of its own: those that serve would do other work during a round trip, which would count as its cost.
        """
        self._measured_at = time.monotonic()  # first, so that no second measurement begins
        loop_class = type(asyncio.get_running_loop())
        cost = await asyncio.to_thread(_measure, loop_class)
        self.quick_seconds = min(max(_WORTH * cost, LEAST_QUICK_SECONDS), GREATEST_QUICK_SECONDS)
        return cost


def _measure(loop_class: type[asyncio.AbstractEventLoop]) -> float:
    """Return the median cost of round trips between an event loop in this thread and a thread."""
    loop = loop_class()
    try:
        with ThreadPoolExecutor(1, "hand-off") as executor:
            return loop.run_until_complete(_make_trips(loop, executor))
    finally:
        loop.close()


async def _make_trips(loop: asyncio.AbstractEventLoop, executor: Executor) -> float:
    own: list[float] = []
    others: list[float] = []
    for _ in range(_TRIPS):
        began = time.thread_time()
        others.append(await loop.run_in_executor(executor, time.thread_time))
        own.append(time.thread_time() - began)
    return median(own) + median(later - before for before, later in pairwise(others))

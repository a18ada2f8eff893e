"""The work that is not done yet, and whether it moves."""

import asyncio
import time
from collections.abc import Callable, Mapping

from faas.database.pool import Pool
from tests.helpers.invariants import unsettled

_POLL_SECONDS = 0.2


class StallDetector:
    """Fails when what it observes has not changed for `timeout_seconds`. `clock` returns seconds."""

    def __init__(self, timeout_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._observed: object = None
        self._changed_at = clock()

    def observe(self, state: object) -> None:
        """Compare `state` with the last one. Raises AssertionError after `timeout_seconds` without a change."""
        if state != self._observed:
            self._observed, self._changed_at = state, self._clock()
        stalled = self._clock() - self._changed_at
        assert stalled < self._timeout_seconds, f"no progress for {stalled:.0f} s: {state}"


class Backlog:
    """What is left to do, as the database says."""

    def __init__(self, pool: Pool, limit: int) -> None:
        self._pool = pool
        self._limit = limit
        self.left: Mapping[str, int] = {}

    @property
    def full(self) -> bool:
        """True while clients must not deploy, so that the servers can follow."""
        return sum(count for what, count in self.left.items() if what.startswith("revision ")) >= self._limit

    def __str__(self) -> str:
        return ", ".join(f"{count} {what}" for what, count in sorted(self.left.items())) or "nothing"

    async def refresh(self) -> None:
        """Read the database."""
        self.left = await unsettled(self._pool)

    async def settle(self, stall_seconds: float) -> None:
        """Wait until nothing is left, for as long as it changes. Raises AssertionError when it does not."""
        detector = StallDetector(stall_seconds)
        await self.refresh()
        while self.left:
            detector.observe(self.left)
            await asyncio.sleep(_POLL_SECONDS)
            await self.refresh()

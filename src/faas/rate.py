"""A limit on a rate: the generic cell rate algorithm, a token bucket that needs one number for its state."""

import math

import msgspec

_ROUNDING_SECONDS = 1e-9


class Rate(msgspec.Struct):
    """Admits `per_second` events per second, and a burst of one second's worth, at least one event.

    `recovered_at` is when the rate has recovered from the events so far. Times are seconds of any one clock.
    """

    per_second: float
    recovered_at: float = 0.0

    @property
    def burst_seconds(self) -> float:
        """How far ahead of the rate a burst may be."""
        return max(1.0, 1 / self.per_second)

    @property
    def burst(self) -> int:
        """The events of a full burst."""
        return max(1, math.floor(self.per_second))

    def take(self, now: float) -> float:
        """Admit an event and return 0, or admit none and return after how many seconds one is admitted."""
        next_recovery = self._next_recovery(now)
        too_early = next_recovery - now - self.burst_seconds
        if too_early > _ROUNDING_SECONDS:
            return too_early
        self.recovered_at = next_recovery
        return 0.0

    def count(self, now: float) -> None:
        """Count an event that has happened, whether or not the rate admits it."""
        self.recovered_at = self._next_recovery(now)

    def remaining(self, now: float) -> int:
        """Return how many events are admitted at once now."""
        ahead = max(self.recovered_at, now) - now
        return max(0, math.floor((self.burst_seconds - ahead) * self.per_second + _ROUNDING_SECONDS))

    def _next_recovery(self, now: float) -> float:
        """Return when the rate will have recovered from another event now.

        What was used under another rate, or was counted without being admitted, counts for one burst at most.
        """
        self.recovered_at = min(max(self.recovered_at, now), now + self.burst_seconds)
        return self.recovered_at + 1 / self.per_second

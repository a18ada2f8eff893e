"""The rate limit of a run: one bucket, burst 1."""

import asyncio


class RateLimit:
    """Lets one caller through every 1/`per_second` seconds; 0 lets all through at once."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        """Return when the caller may go. Callers go in the order in which they came."""
        if not self._interval:
            return
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + self._interval
        if turn > now:
            await asyncio.sleep(turn - now)

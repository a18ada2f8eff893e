"""The rate limit of a run: a token bucket with burst 1."""

import asyncio


class RateLimiter:
    """Lets one caller pass every 1/`per_second` seconds, in the order of the calls; 0 is no limit."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._next = 0.0

    async def acquire(self) -> None:
        """Wait for the caller's turn."""
        if not self._interval:
            return
        now = asyncio.get_running_loop().time()
        turn = max(now, self._next)
        self._next = turn + self._interval
        if turn > now:
            await asyncio.sleep(turn - now)

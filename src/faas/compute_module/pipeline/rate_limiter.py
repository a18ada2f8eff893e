"""When attempts of a run may begin: the rate limit, and the waits that the server asks for.

The rate limit is a token bucket with burst 1.
"""

import asyncio

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.retry_after import MAX_RETRY_AFTER_SECONDS


class RateLimiter:
    """Lets one caller pass every 1/`per_second` seconds, in the order of the calls; 0 is no limit.

    All workers of a run share it, so that a wait that the server names to one of them holds back the others too.
    `successes` counts the attempts of the run that succeeded; RetryPolicy increments it.
    """

    def __init__(self, per_second: float) -> None:
        self._interval = 1 / per_second if per_second else 0.0
        self._next = 0.0
        self._resume = 0.0
        self._reason = ""
        self._order = asyncio.Lock()  # first come, first served
        self.successes = 0

    async def acquire(self) -> None:
        """Wait for the caller's turn.

        Raises EnrichmentFailed, with the reason of `hold`, when the server asked for a longer wait than is accepted.
        """
        clock = asyncio.get_running_loop().time
        async with self._order:
            turn = max(clock(), self._next)
            while True:  # the server may name another wait during the pause
                turn = max(turn, self._resume)
                now = clock()
                if self._resume - now > MAX_RETRY_AFTER_SECONDS:
                    raise EnrichmentFailed(self._reason)
                if turn <= now:
                    break
                await asyncio.sleep(turn - now)
            self._next = turn + self._interval

    def hold(self, seconds: float, reason: str) -> None:
        """Let no caller pass for `seconds`, as the server asked for `reason`. Never shortens an earlier wait."""
        resume = asyncio.get_running_loop().time() + seconds
        if resume > self._resume:
            self._resume = resume
            self._reason = reason

"""Time limits on what arrives, as an answer or a request does, that a late event loop does not shorten.

An event loop that is late finds that a time limit has passed before it has read what arrived within it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

LAST_READ_SECONDS = 0.05  # after a time limit, in which what has arrived is read


@asynccontextmanager
async def timeout_after_last_read(seconds: float) -> AsyncIterator[None]:
    """Limit the block to `seconds`; what has arrived until then is read before it ends. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle
    async with asyncio.timeout(None) as timeout:

        def read_once_more() -> None:
            nonlocal timer
            # In the end reschedule calls call_soon, so that a task that has been woken runs before.
            timer = loop.call_later(LAST_READ_SECONDS, lambda: timeout.reschedule(loop.time()))

        timer = loop.call_later(seconds, read_once_more)
        try:
            yield
        finally:
            timer.cancel()

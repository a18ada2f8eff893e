"""How long an outbound request may take. It ends inside the operations of its connection, never between them.

httpcore leaves a connection behind, which then counts as busy, when its task is cancelled between the connection being
made and its first use (with a scope of anyio, too). So the task is not cancelled: the operation of the network that it
waits for fails, as it fails when a server closes the connection.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from faas.outbound.model import RequestFailed

TIMED_OUT = "no answer within the time limit of the execution"


class Lifetime:
    """The time of one request with its redirects, on the event loop: until a deadline, or until `end` is called."""

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        self._operation: asyncio.Timeout | None = None

    @property
    def remaining(self) -> float:
        """The seconds that are left, 0 or more."""
        return max(0.0, self._deadline - self._loop.time())

    def end(self) -> None:
        """Let the operation fail that the request waits for, and each one that it begins later."""
        self._deadline = self._loop.time()
        if self._operation is not None and not self._operation.expired():
            self._operation.reschedule(self._deadline)

    @asynccontextmanager
    async def operation(self) -> AsyncIterator[None]:
        """Cancel what is awaited inside when the time is over. Raises RequestFailed then."""
        if not self.remaining:
            raise RequestFailed(TIMED_OUT)
        limit = asyncio.timeout_at(self._deadline)
        try:
            async with limit:
                self._operation = limit
                yield
        except TimeoutError:
            if limit.expired():
                raise RequestFailed(TIMED_OUT) from None
            raise  # of the network
        finally:
            self._operation = None

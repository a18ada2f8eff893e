"""How long a request runs: until a deadline, until its execution ends, or until its answer is there."""

import asyncio
from types import TracebackType

from faas.outbound.model import RequestFailed

TIMED_OUT = "no answer within the time limit of the execution"


class Lifetime:
    """The time of one request with its redirects, as a context on the event loop, which cancels what is awaited."""

    def __init__(self, seconds: float) -> None:
        self._timeout = asyncio.timeout(max(0.0, seconds))

    def end(self) -> None:
        """End the request now."""
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time())

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Raise RequestFailed where the time is over."""
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise RequestFailed(TIMED_OUT) from None

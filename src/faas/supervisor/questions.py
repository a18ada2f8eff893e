"""Questions to another process, each with a number, and their answers."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from faas.timeouts import timeout_after_last_read

Answer = TypeVar("Answer")

TIMEOUT_SECONDS = 2.0


class Questions(Generic[Answer]):
    """The questions of one kind that are not answered yet."""

    def __init__(self) -> None:
        self._open: dict[int, asyncio.Future[Answer]] = {}
        self._number = 0

    async def ask(self, send: Callable[[int], None], timeout: float = TIMEOUT_SECONDS) -> Answer:
        """Send a question with a number of its own, and return the answer. Raises TimeoutError."""
        self._number += 1
        number = self._number
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        send(number)
        try:
            async with timeout_after_last_read(timeout):
                return await answer
        finally:
            del self._open[number]

    def answer(self, number: int, answer: Answer) -> None:
        """Hand over an answer; one that nothing waits for any more is dropped."""
        future = self._open.get(number)
        if future is not None and not future.done():
            future.set_result(answer)

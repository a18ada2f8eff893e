"""Calls of the client of outbound requests as a guest's thread makes them, waiting for the answer."""

import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

from faas.outbound import (
    HostSecret,
    OutboundClient,
    OutboundFailure,
    OutboundRecord,
    OutboundRequest,
    OutboundResponse,
)
from faas.outbound_patterns import parse_outbound

FUNCTION = uuid4()


class Guest:
    """One execution of a function, with its session."""

    def __init__(
        self,
        client: OutboundClient,
        patterns: Sequence[str],
        *,
        secrets: Sequence[HostSecret] = (),
        seconds: float = 10,
        function_id: UUID = FUNCTION,
    ) -> None:
        self.woken = threading.Event()
        self.wakes = 0
        deadline = time.monotonic() + seconds
        self.session = client.session(
            function_id, parse_outbound(patterns), secrets, lambda: deadline - time.monotonic(), self._wake
        )

    def _wake(self) -> None:
        self.wakes += 1
        self.woken.set()

    def wait(self, number: int, timeout: float = 20) -> OutboundResponse | OutboundFailure:
        """Return the result of a request, as a guest that sleeps until it is woken."""
        end = time.monotonic() + timeout
        while True:
            self.woken.clear()
            if (result := self.session.take(number)) is not None:
                return result
            assert self.woken.wait(end - time.monotonic()), "not woken"

    def fetch(self, request: OutboundRequest | str) -> OutboundResponse | OutboundFailure:
        """Make a request and wait for its result."""
        if isinstance(request, str):
            request = OutboundRequest("GET", request)
        return self.wait(self.session.start(request))

    def answer(self, request: OutboundRequest | str) -> OutboundResponse:
        """Make a request that must be answered."""
        result = self.fetch(request)
        assert isinstance(result, OutboundResponse), result
        return result

    def failure(self, request: OutboundRequest | str) -> str:
        """Make a request that must fail, and return the message."""
        result = self.fetch(request)
        assert isinstance(result, OutboundFailure), result
        return result.message

    @property
    def records(self) -> list[OutboundRecord]:
        return self.session.records


def wait_until(condition: Callable[[], bool], timeout: float = 20) -> None:
    """Poll until `condition` is true."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "still not"
        time.sleep(0.01)

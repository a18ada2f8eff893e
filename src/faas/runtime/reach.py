"""What an execution may reach beyond its instance: its environment, its secrets, and outbound requests."""

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import msgspec

from faas.outbound import OutboundRecord
from faas.runtime import frames

_REFUSED = frames.encode(frames.ResponseHead(error="functions cannot make outbound requests here"), b"")


class RequestSession(Protocol):
    """The outbound requests of one execution. Thread-safe; the requests are made elsewhere.

    Requests and responses are frames (faas.runtime.frames). What the guest does wrong is a response, too.
    """

    def start(self, frame: bytes) -> int:
        """Begin a request and return its number, from 1 on."""

    def take(self, number: int) -> bytes | None:
        """Return the response to a request, or None while it is not there; then forget it."""

    def records(self) -> tuple[OutboundRecord, ...]:
        """Return what is recorded of the requests, in the order in which they began."""

    def close(self) -> None:
        """Cancel the requests that are not complete."""


class RefusedRequests:
    """A RequestSession whose requests all fail: where there is no client for them."""

    def __init__(self, _remaining: Callable[[], float], _wake: Callable[[], None]) -> None:
        self._started = 0

    def start(self, _frame: bytes) -> int:
        """Refuse a request; see RequestSession."""
        self._started += 1
        return self._started

    def take(self, _number: int) -> bytes:
        """Return why; see RequestSession."""
        return _REFUSED

    def records(self) -> tuple[()]:
        """Return nothing, as nothing was sent; see RequestSession."""
        return ()

    def close(self) -> None:
        """Do nothing; see RequestSession."""


# Of the remaining seconds of the execution, and of a function to be called whenever a request completes.
OpenSession: TypeAlias = Callable[[Callable[[], float], Callable[[], None]], RequestSession]


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution may reach. `secrets` are values, or what stands for values that the guest may not see."""

    variables: Mapping[str, str] = {}
    secrets: Mapping[str, str] = {}
    open_session: OpenSession | None = None


NOTHING = Reach()
"""The reach of a function without settings: a request is refused with a reason."""

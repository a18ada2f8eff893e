"""Outbound requests of functions in tests, to servers on 127.0.0.1."""

from collections.abc import Callable
from functools import cache
from uuid import UUID

from faas.outbound import OutboundClient
from faas.outbound_patterns import parse_outbound
from faas.runtime.outbound_frames import FrameSession

FUNCTION_ID = UUID(int=17)
LOOPBACK = parse_outbound(["127.0.0.0/8"])


@cache
def _client() -> OutboundClient:
    """Return the client of all tests of a process. Its thread ends with the process."""
    return OutboundClient()


def open_loopback_session(remaining: Callable[[], float], wake: Callable[[], None]) -> FrameSession:
    """Open a session that reaches 127.0.0.0/8; for `Reach.open_session`."""
    return FrameSession(_client().session(FUNCTION_ID, LOOPBACK, [], remaining, wake))

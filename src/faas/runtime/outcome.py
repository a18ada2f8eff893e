"""The result of one guest."""

from typing import Literal

import msgspec

from faas.outbound import OutboundRecord
from faas.runtime.http_messages import HttpResponse

Failure = Literal["function", "time", "request"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Either `output`, a JSON document exactly as the guest wrote it, or `response`, where it was called with a
    request, or `error`, a message for the function's author.

    `failure` says why there is an error: the function, its time limit, or the request, which it cannot be called with.
    `logs` is what the guest printed. Their texts are ready to be recorded: they have no NUL characters. `requests` is
    what is recorded of its outbound requests. `inline` says that the guest ran on the event loop.
    """

    output: bytes | None = None
    response: HttpResponse | None = None
    error: str | None = None
    failure: Failure = "function"
    logs: str | None = None
    requests: tuple[OutboundRecord, ...] = ()
    inline: bool = False

    def __eq__(self, other: object) -> bool:
        """Compare what the guest did, not where it ran."""
        if not isinstance(other, Outcome):
            return NotImplemented
        return (self.output, self.response, self.error, self.logs) == (
            other.output,
            other.response,
            other.error,
            other.logs,
        )

    def __hash__(self) -> int:
        return hash((self.output, self.response, self.error, self.logs))


class GuestFault(Exception):
    """Raised when a guest violates its calling convention. The message is for the function's author."""


class RequestFault(GuestFault):
    """Raised when a function cannot be called with a request. The message is for the client, too."""

"""What functions ask of the client of outbound requests, and what they get: structs, and the failure of a request."""

from typing import Literal

import msgspec

MAX_REQUESTS = 20
MAX_REDIRECTS = 20
MAX_BODY_BYTES = 6 << 20
MAX_HEADERS_BYTES = 64 << 10
MAX_HEADERS = 200

Headers = tuple[tuple[str, str], ...]


class OutboundRequest(msgspec.Struct, frozen=True):
    """A request as a guest makes it: nothing in it is checked. Values of headers are latin-1 text."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    redirect: Literal["follow", "manual", "error"] = "follow"


class OutboundResponse(msgspec.Struct, frozen=True):
    """The answer of a server, of any status. Names of headers are in lower case, their values latin-1 text.

    `url` is the last one of the redirects. The body is decoded; Content-Encoding and Content-Length are left out then.
    """

    status: int
    reason: str
    url: str
    redirected: bool
    headers: Headers
    body: bytes


class OutboundFailure(msgspec.Struct, frozen=True):
    """A request without an answer; `message` is a sentence for the author of the function."""

    message: str


class OutboundRecord(msgspec.Struct, frozen=True):
    """A request as the record of its execution keeps it. `url` is the first one, without query, fragment and user.

    `status` or `error` is None. `milliseconds` is the time from its start until its end, with its redirects.
    """

    method: str
    url: str
    status: int | None
    error: str | None
    milliseconds: float


class RequestFailed(Exception):
    """Raised inside this package where a request ends without an answer; the session turns it into a result."""

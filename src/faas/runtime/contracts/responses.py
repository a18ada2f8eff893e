"""Checks of what functions respond: it becomes a part of an HTTP connection that other responses share."""

import re
from collections.abc import Iterable

from faas.runtime.http_messages import HttpResponse
from faas.runtime.outcome import GuestFault

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
MAX_HEADERS_BYTES = 64 << 10
_NO_BODY = (204, 205, 304)
# Of the connection, not of the response (RFC 9110), and those that the server itself writes.
_CONNECTION_HEADERS = frozenset({
    "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    "date", "faas-execution-id", "x-request-id",
})  # fmt: skip


def checked_response(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> HttpResponse:
    """Return the response of a function without the headers that belong to the connection. Raises GuestFault."""
    if not 200 <= status <= 599:
        raise GuestFault(f"the function's response has the status {status}; accepted are 200 to 599")
    kept, size = [], 0
    for name, given in headers:
        value = given.strip(" \t")
        if not _TOKEN.fullmatch(name):
            raise GuestFault(f"{name[:100]!r} is not a name of a header")
        if not _VALUE.fullmatch(value):
            raise GuestFault(f"the header {name[:100]} of the response has a character that is not allowed there")
        size += len(name) + len(value) + 4
        if name.lower() not in _CONNECTION_HEADERS:
            kept.append((name.lower(), value))
    if size > MAX_HEADERS_BYTES:
        raise GuestFault(f"the headers of the response have {size} bytes; the limit is {MAX_HEADERS_BYTES}")
    if status in _NO_BODY:
        body = b""
    return HttpResponse(status=status, headers=tuple(kept), body=body)

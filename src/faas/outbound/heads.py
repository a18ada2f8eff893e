"""The head of a request: the guest's method and headers, checked, with those that the host sets."""

import re

from faas.outbound.model import MAX_BODY_BYTES, MAX_HEADERS, MAX_HEADERS_BYTES, Headers, OutboundRequest, RequestFailed
from faas.outbound.secret_values import SecretValues
from faas.outbound_patterns import Origin
from faas.units import format_size

RawHeaders = list[tuple[bytes, bytes]]

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_REFUSED_METHODS = frozenset({"CONNECT", "TRACE", "TRACK"})
_NORMALIZED_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
# Those of a connection (RFC 9110, 7.6.1), and those that say where a message ends or goes. What the guest gives is
# dropped, as browsers do.
_SET_BY_HOST = frozenset({
    "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "proxy-authenticate",
    "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
_DECODED = "gzip, deflate"
_DEFAULTS = (("accept", "*/*"), ("accept-encoding", _DECODED), ("user-agent", "faas"))
_OF_BODY = frozenset({"content-encoding", "content-language", "content-location", "content-type"})
_OF_ORIGIN = frozenset({"authorization", "cookie", "cookie2"})


def checked(request: OutboundRequest) -> OutboundRequest:
    """Return the request with the headers that it may have, in lower case, and those that it lacks.

    Raises RequestFailed for a request that may not be sent.
    """
    method = request.method
    if not _TOKEN.fullmatch(method) or len(method) > 32:
        raise RequestFailed(f"{method[:40]!r} is not an HTTP method")
    if method.upper() in _REFUSED_METHODS:
        raise RequestFailed(f"the method {method} is not allowed")
    if method.upper() in _NORMALIZED_METHODS:
        method = method.upper()
    if len(request.body) > MAX_BODY_BYTES:
        size = f"{len(request.body)} bytes"
        raise RequestFailed(f"the body of the request has {size}; accepted are up to {format_size(MAX_BODY_BYTES)}")
    headers = [(name.lower(), value.strip(" \t")) for name, value in _checked_headers(request.headers)]
    kept = [pair for pair in headers if pair[0] not in _SET_BY_HOST]
    names = {name for name, _ in kept}
    kept += [pair for pair in _DEFAULTS if pair[0] not in names]
    return OutboundRequest(method, request.url, tuple(kept), request.body, request.redirect)


def wire_headers(request: OutboundRequest, origin: Origin, secrets: SecretValues) -> tuple[RawHeaders, bool]:
    """Return the headers of a checked request for one origin, and whether there is a secret in them."""
    values, with_secret = secrets.fill_in(origin, (value for _, value in request.headers))
    wire = [(b"host", origin.host_header.encode("ascii"))]
    for (name, _), value in zip(request.headers, values, strict=True):
        if not _VALUE.fullmatch(value):
            raise RequestFailed(
                f"the header {name!r} gets a secret whose value has a line break or a control character"
            )
        # With a secret: a coding that cannot be decoded would hide the secret if it is in the answer.
        sent = _DECODED if with_secret and name == "accept-encoding" else value
        wire.append((name.encode("ascii"), sent.strip(" \t").encode("latin-1")))
    if request.body or request.method in {"POST", "PUT", "PATCH"}:
        wire.append((b"content-length", str(len(request.body)).encode("ascii")))
    return wire, with_secret


def head_bytes(method: str, target: bytes, headers: RawHeaders) -> bytes:
    """Return the head of a request as it is sent. Nothing is checked."""
    lines = [b"%b %b HTTP/1.1" % (method.encode("ascii"), target), *(b"%b: %b" % pair for pair in headers)]
    return b"\r\n".join([*lines, b"", b""])


def redirected(request: OutboundRequest, status: int, *, same_origin: bool) -> OutboundRequest:
    """Return the request that follows a redirect, by the rules of fetch; only its URL is still the old one."""
    method, body, dropped = request.method, request.body, frozenset[str]()
    if (status in {301, 302} and method == "POST") or (status == 303 and method not in {"GET", "HEAD"}):
        method, body, dropped = "GET", b"", _OF_BODY
    if not same_origin:
        dropped |= _OF_ORIGIN
    headers = tuple(pair for pair in request.headers if pair[0] not in dropped)
    return OutboundRequest(method, request.url, headers, body, request.redirect)


def _checked_headers(headers: Headers) -> Headers:
    size = sum(len(name) + len(value) + 4 for name, value in headers)
    if len(headers) > MAX_HEADERS or size > MAX_HEADERS_BYTES:
        limits = f"up to {MAX_HEADERS} with {format_size(MAX_HEADERS_BYTES)} in all"
        raise RequestFailed(f"{len(headers)} headers with {size} bytes; accepted are {limits}")
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise RequestFailed(f"{name[:40]!r} is not the name of a header")
        if not _VALUE.fullmatch(value):
            raise RequestFailed(
                f"the value of the header {name!r} has a line break or another character that is not accepted"
            )
    return headers

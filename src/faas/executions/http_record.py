"""HTTP requests and responses as they are recorded: the input and the output of an execution, as JSON.

A body is text where it is that, and base64 otherwise. Credentials in headers are left out.
"""

import base64
import re

import msgspec

from faas.runtime import HttpRequest, HttpResponse

_REDACTED_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})
_REDACTED = "[redacted]"
# In JSON, a control character is six: what has one is not text for people, and shorter in base64.
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x80-\U0010ffff]")

_encode = msgspec.json.Encoder().encode


def request_document(request: HttpRequest) -> bytes:
    """Return a request as an input."""
    head = {"method": request.method, "path": request.path, "query": request.query}
    return _encode({**head, "headers": _recorded(request.headers), **_body(request.body)})


def response_document(response: HttpResponse) -> bytes:
    """Return a response as an output."""
    return _encode({"status": response.status, "headers": _recorded(response.headers), **_body(response.body)})


def _recorded(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(name, _REDACTED if name in _REDACTED_HEADERS else value) for name, value in headers]


def _body(body: bytes) -> dict[str, str]:
    if not body:
        return {}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or _CONTROL.search(text):
        return {"bodyBase64": base64.b64encode(body).decode()}
    return {"body": text}

"""HTTP requests and responses as they are recorded: the input and the output of an execution, as JSON.

A body is text where it is that, and base64 otherwise. Credentials in headers are left out.
"""

import asyncio
import base64
import re
from collections.abc import Mapping

import msgspec

from faas.runtime import HttpRequest, HttpResponse

_REDACTED_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})
_REDACTED = "[redacted]"
_SMALL_BODY_BYTES = 64 << 10
# In JSON, a control character is six: what has one is not text for people, and shorter in base64.
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x80-\U0010ffff]")

_encode = msgspec.json.Encoder().encode


async def request_document(request: HttpRequest) -> bytes:
    """Return a request as an input."""
    head = {"method": request.method, "path": request.path, "query": request.query}
    return await _document(head, request)


async def response_document(response: HttpResponse) -> bytes:
    """Return a response as an output."""
    return await _document({"status": response.status}, response)


async def _document(start: Mapping[str, object], message: HttpRequest | HttpResponse) -> bytes:
    head = {**start, "headers": _recorded(message.headers)}
    if len(message.body) <= _SMALL_BODY_BYTES:
        return _encode({**head, **_body(message.body)})
    # Megabytes take tens of milliseconds, for which the event loop would not serve others.
    return await asyncio.to_thread(lambda: _encode({**head, **_body(message.body)}))


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

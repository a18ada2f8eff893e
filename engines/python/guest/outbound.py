"""Outbound requests: the host makes them, and the function waits.

A frame passes in each direction: the length of its head in 4 bytes, little-endian, the head as JSON, a NUL, the body.
"""

import json
import math
import struct

import _faas_host

from . import randomness

_LENGTH = struct.Struct("<I")
Headers = list[tuple[str, str]]


class RequestError(OSError):
    """Raised when a request has no response: the server cannot be reached, or the function may not reach it."""

    __module__ = "faas.http"


class Answer:
    """The response to a request, as the host gives it. Characters of values of headers are one byte each."""

    def __init__(self, frame: bytes) -> None:
        (size,) = _LENGTH.unpack_from(frame)
        head = json.loads(frame[4 : 4 + size])
        if error := head.get("error"):
            raise RequestError(error)
        self.status: int = head["status"]
        self.reason: str = head.get("statusText", "")
        self.url: str = head.get("url", "")
        self.headers: Headers = [(name, value) for name, value in head.get("headers", ())]
        self.body = frame[4 + size + 1 :]


def send(
    method: str, url: str, headers: Headers, body: bytes, *, redirect: str = "follow", timeout: float | None = None
) -> Answer:
    """Make a request and wait for its response, `timeout` seconds at most.

    `redirect` is `follow`, `manual` or `error`. Raises RequestError, TimeoutError, and RuntimeError at the top level of
    a function's module.
    """
    if randomness.loading:
        raise RuntimeError(
            "a request at top level would be made once, when the function is deployed, and in no call: "
            "make it in the handler"
        )
    head = json.dumps({"method": method, "url": url, "headers": headers, "redirect": redirect}).encode()
    milliseconds = math.inf if timeout is None else float(timeout) * 1000
    answer = _faas_host.request(_LENGTH.pack(len(head)) + head + b"\0" + body, milliseconds)
    if answer is None:
        raise TimeoutError(f"no response within the timeout of {timeout:g} s")
    return Answer(answer)

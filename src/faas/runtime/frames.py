"""Frames, in which HTTP requests and responses pass between the host and an engine.

A frame is the length of its head in 4 bytes, little-endian, the head, a NUL, and the body. The head is a JSON object,
UTF-8. Values of headers are text in which each character is one byte.
"""

import struct
from typing import Literal, TypeVar

import msgspec

from faas.outbound import Headers

Redirect = Literal["follow", "manual", "error"]

_LENGTH = struct.Struct("<I")
_Head = TypeVar("_Head")


class RequestHead(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a request. `redirect` says what becomes of redirects of an outbound request."""

    method: str = "GET"
    url: str
    headers: Headers = ()
    redirect: Redirect = "follow"


class ResponseHead(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The head of a response. An outbound request that failed has an `error` instead, for the function's author."""

    status: int = 0
    status_text: str = ""
    url: str = ""
    redirected: bool = False
    headers: Headers = ()
    error: str = ""


class MalformedFrame(ValueError):
    """Raised for bytes that are not a frame. The message says what is wrong."""


_encode = msgspec.json.Encoder().encode
_request_decoder = msgspec.json.Decoder(RequestHead)
_response_decoder = msgspec.json.Decoder(ResponseHead)


def encode(head: RequestHead | ResponseHead, body: bytes) -> bytes:
    """Return the frame of a head and a body."""
    text = _encode(head)
    return b"%b%b\0%b" % (_LENGTH.pack(len(text)), text, body)


def decode_request(frame: bytes) -> tuple[RequestHead, bytes]:
    """Return the head and the body of a request. Raises MalformedFrame."""
    return _decode(frame, _request_decoder)


def decode_response(frame: bytes) -> tuple[ResponseHead, bytes]:
    """Return the head and the body of a response. Raises MalformedFrame."""
    return _decode(frame, _response_decoder)


def _decode(frame: bytes, decoder: "msgspec.json.Decoder[_Head]") -> tuple[_Head, bytes]:
    start = _LENGTH.size
    if len(frame) < start:
        raise MalformedFrame(f"a frame of {len(frame)} bytes")
    end = start + _LENGTH.unpack_from(frame)[0]
    if end >= len(frame) or frame[end]:
        raise MalformedFrame("the length of the head is wrong")
    try:
        return decoder.decode(frame[start:end]), frame[end + 1 :]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedFrame(str(error)) from None

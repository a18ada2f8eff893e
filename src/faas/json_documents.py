"""Validation of JSON texts as bytes, without decoding them to Python values.

Inputs and outputs of executions are stored exactly as sent (key order, `\\u0000` escapes, numbers of any size).
msgspec's `Raw` validates the syntax. It accepts invalid UTF-8 and any depth, which are checked here.
"""

import re
from itertools import accumulate

import msgspec

DEPTH_LIMIT = 500

_CHUNK_BYTES = 1 << 16

_OPENING, _CLOSING = b"[{", b"]}"
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in _OPENING + _CLOSING)
_DEPTH_CHANGE = [0] * 256
for _byte in _OPENING:
    _DEPTH_CHANGE[_byte] = 1
for _byte in _CLOSING:
    _DEPTH_CHANGE[_byte] = -1

_SURROGATE_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

_raw = msgspec.json.Decoder(msgspec.Raw)


class NotJSON(ValueError):
    """Raised when bytes are not a JSON text that faas accepts; the message says why."""


def check(document: bytes) -> None:
    """Raise NotJSON unless `document` is one JSON text in UTF-8, nested at most DEPTH_LIMIT levels."""
    try:
        document.decode()
    except UnicodeDecodeError as error:
        raise NotJSON(f"invalid UTF-8 at byte {error.start}") from None
    check_depth(document)
    try:
        _raw.decode(document)
    except msgspec.DecodeError as error:
        raise NotJSON(describe_error(document, error)) from None
    except RecursionError:
        raise NotJSON(f"nested deeper than {DEPTH_LIMIT} levels") from None


def describe_error(document: bytes, error: msgspec.DecodeError) -> str:
    """Return what is wrong with `document`, of which msgspec said `error`.

    msgspec reports an unpaired surrogate escape at the end of a string as a truncated input.
    """
    unescaped = _SURROGATE_PAIR.sub(b"", document.replace(b"\\\\", b""))
    if lone := _SURROGATE.search(unescaped):
        return f"unpaired surrogate escape {lone[0].decode()}"
    return str(error).replace("Input data was truncated", "JSON is malformed: it ends too early")


def check_depth(document: bytes) -> None:
    """Raise NotJSON when `document` is nested deeper than DEPTH_LIMIT. Brackets inside strings do not count.

    Works in chunks, so that a caller's thread releases the GIL between two of them.
    """
    if document.count(b"[") + document.count(b"{") <= DEPTH_LIMIT:
        return
    depth, in_string, escape = 0, False, b""
    for start in range(0, len(document), _CHUNK_BYTES):
        chunk = escape + document[start : start + _CHUNK_BYTES]
        # A backslash that begins an escape at the end of the chunk belongs to the next one.
        escape = b"\\" if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2 else b""
        chunk = chunk[: len(chunk) - len(escape)]
        parts = chunk.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        brackets = b"".join(parts[in_string::2]).translate(None, _NOT_BRACKETS)
        in_string ^= len(parts) % 2 == 0
        depths = list(accumulate(map(_DEPTH_CHANGE.__getitem__, brackets), initial=depth))
        if max(depths) > DEPTH_LIMIT:
            raise NotJSON(f"nested deeper than {DEPTH_LIMIT} levels")
        depth = depths[-1]

"""JSON documents as bytes: checked, never rewritten.

Input and output are kept exactly as sent (key order, `\\u0000` escapes, numbers of any size), so they are not decoded
to Python values: msgspec's `Raw` walks the syntax, and the two things that it lets through are checked here.
"""

import re
from itertools import accumulate

import msgspec

DEPTH_LIMIT = 500

_PIECE = 1 << 16

_OPENING, _CLOSING = b"[{", b"]}"
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in _OPENING + _CLOSING)
_STEP = [0] * 256
for _byte in _OPENING:
    _STEP[_byte] = 1
for _byte in _CLOSING:
    _STEP[_byte] = -1

_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

_raw = msgspec.json.Decoder(msgspec.Raw)


class NotJSON(ValueError):
    """The bytes are no JSON document that this service takes; the message says why."""


def check(document: bytes) -> None:
    """Raise NotJSON unless `document` is one UTF-8 JSON document nested at most DEPTH_LIMIT levels."""
    try:
        document.decode()
    except UnicodeDecodeError as error:
        raise NotJSON(f"invalid UTF-8 at byte {error.start}") from None
    check_depth(document)
    try:
        _raw.decode(document)
    except msgspec.DecodeError as error:
        raise NotJSON(explain(document, error)) from None
    except RecursionError:
        raise NotJSON(f"nested deeper than {DEPTH_LIMIT} levels") from None


def explain(document: bytes, error: msgspec.DecodeError) -> str:
    """What is wrong with `document`: msgspec calls an unpaired surrogate escape at a string's end a truncation."""
    unescaped = _PAIR.sub(b"", document.replace(b"\\\\", b""))
    if lone := _SURROGATE.search(unescaped):
        return f"unpaired surrogate escape {lone[0].decode()}"
    return str(error).replace("Input data was truncated", "JSON is malformed: it ends too early")


def check_depth(document: bytes) -> None:
    """Raise NotJSON when `document` is nested deeper than DEPTH_LIMIT. Brackets inside strings do not count.

    Piece by piece: in a thread, another one gets its turn between two of them.
    """
    if document.count(b"[") + document.count(b"{") <= DEPTH_LIMIT:
        return
    depth, in_string, rest = 0, False, b""
    for start in range(0, len(document), _PIECE):
        piece = rest + document[start : start + _PIECE]
        # A backslash at the end belongs to what comes next.
        rest = b"\\" if (len(piece) - len(piece.rstrip(b"\\"))) % 2 else b""
        piece = piece[: len(piece) - len(rest)]
        parts = piece.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        steps = b"".join(parts[in_string::2]).translate(None, _NOT_BRACKETS)
        in_string ^= len(parts) % 2 == 0
        depths = list(accumulate(map(_STEP.__getitem__, steps), initial=depth))
        if max(depths) > DEPTH_LIMIT:
            raise NotJSON(f"nested deeper than {DEPTH_LIMIT} levels")
        depth = depths[-1]

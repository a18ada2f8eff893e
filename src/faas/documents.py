"""JSON documents as bytes: checked, never rewritten.

Input and output are kept exactly as sent (key order, `\\u0000` escapes, numbers of any size), so they are not decoded
to Python values: msgspec's `Raw` walks the syntax, and the two things that it lets through are checked here.
"""

from itertools import accumulate

import msgspec

DEPTH_LIMIT = 500

_OPENING, _CLOSING = b"[{", b"]}"
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in _OPENING + _CLOSING)
_STEP = [0] * 256
for _byte in _OPENING:
    _STEP[_byte] = 1
for _byte in _CLOSING:
    _STEP[_byte] = -1

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
        raise NotJSON(str(error)) from None
    except RecursionError:
        raise NotJSON(f"nested deeper than {DEPTH_LIMIT} levels") from None


def check_depth(document: bytes) -> None:
    """Raise NotJSON when `document` is nested deeper than DEPTH_LIMIT. Brackets inside strings do not count."""
    if document.count(b"[") + document.count(b"{") <= DEPTH_LIMIT:
        return
    brackets = _without_strings(document).translate(None, _NOT_BRACKETS)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > DEPTH_LIMIT:
        raise NotJSON(f"nested deeper than {DEPTH_LIMIT} levels")


def _without_strings(document: bytes) -> bytes:
    """`document` less what stands between quotes."""
    unescaped = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(unescaped.split(b'"')[::2])

"""Validation of JSON texts as bytes, without decoding them to Python values.

Inputs and outputs of executions are stored exactly as sent (key order, `\\u0000` escapes, numbers of any size).
msgspec's `Raw` validates the syntax. It accepts invalid UTF-8 and any depth, which are checked here.
"""

import codecs
import re
import string
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

_MALFORMED = re.compile(r"JSON is malformed: (.+) \(byte (\d+)\)")  # msgspec's messages
# For these reasons, msgspec 0.22 names the byte after the one that is wrong.
_REASONS_ONE_BYTE_LATE = {"trailing characters", "invalid character in unicode escape"}
_TOKEN = re.compile(rb"[\w+.-]+")
_TOKEN_BYTES = string.ascii_letters.encode() + string.digits.encode() + b"_+.-"
_TOKEN_BYTES_SHOWN = 20
_HINTS = {b"'": "; strings are in double quotes", b"/": "; JSON has no comments", b"#": "; JSON has no comments"}
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\Z)|[][{}]', re.DOTALL)

_raw = msgspec.json.Decoder(msgspec.Raw)


class NotJSON(ValueError):
    """Raised when bytes are not a JSON text that faas accepts.

    `reason` says why, in detail, and `offset` is the first byte that is wrong.
    """

    def __init__(self, message: str, reason: str, offset: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.offset = offset


def check(document: bytes, depth_limit: int = DEPTH_LIMIT, *, lone_surrogates: bool = False) -> None:
    """Raise NotJSON unless `document` is one JSON text in UTF-8, nested at most `depth_limit` levels.

    `lone_surrogates`: escapes of unpaired surrogates are accepted.
    """
    try:
        document.decode()
    except UnicodeDecodeError as error:
        raise NotJSON(f"invalid UTF-8 at byte {error.start}", "invalid UTF-8", error.start) from None
    check_depth(document, depth_limit)
    try:
        _raw.decode(document)
    except msgspec.DecodeError as error:
        if not (lone_surrogates and _SURROGATE.search(document)):
            raise explain(document, error) from None
        check(_without_surrogates(document), depth_limit)
    except RecursionError:
        raise _too_deep(depth_limit, 0) from None


def _without_surrogates(document: bytes) -> bytes:
    """Return `document` with other characters in place of all escaped surrogates; offsets stay."""
    parts = document.split(b"\\\\")  # an escaped backslash is not the beginning of another escape
    return b"\\\\".join(_SURROGATE.sub(rb"\\u0000", part) for part in parts)


def explain(document: bytes, error: msgspec.DecodeError) -> NotJSON:
    """Return what is wrong with `document`, of which msgspec said `error`, and where."""
    message = _MALFORMED.match(str(error))
    if message is None or "surrogate" in message[1]:
        # msgspec reports an unpaired surrogate escape as a truncated input or as an invalid pair. Replacements of the
        # same length keep the offset.
        masked = _SURROGATE_PAIR.sub(b"." * 12, document.replace(b"\\\\", b".."))
        if lone := _SURROGATE.search(masked):
            reason = f"unpaired surrogate escape {lone[0].decode()}"
            return NotJSON(f"{reason} (byte {lone.start()})", reason, lone.start())
        if message is None:
            reason = "JSON is malformed: it ends too early"
            return NotJSON(reason, reason, len(document))
    reason, offset = message[1], int(message[2])
    if reason in _REASONS_ONE_BYTE_LATE:
        offset -= 1
    detail = ""
    if reason in {"invalid character", "invalid number"}:
        detail, offset = _describe_invalid(document, offset)
    hint = _HINTS.get(document[offset : offset + 1], "")
    reason = f"JSON is malformed: {reason}"
    return NotJSON(f"{reason} (byte {offset})", reason + (f" {detail}" if detail else "") + hint, offset)


def _describe_invalid(document: bytes, offset: int) -> tuple[str, int]:
    """Return the token or the character that is invalid, and its offset. msgspec may name a byte inside a token."""
    if document.startswith(codecs.BOM_UTF8) and offset == 0:
        return "U+FEFF, a byte order mark", 0
    byte = document[offset : offset + 1]
    if byte and byte < b" ":  # also inside a string, where it needs an escape
        return f"U+{byte[0]:04X}", offset
    before = document[max(0, offset - _TOKEN_BYTES_SHOWN) : offset]
    start = offset - (len(before) - len(before.rstrip(_TOKEN_BYTES)))
    if token := _TOKEN.match(document[start : start + _TOKEN_BYTES_SHOWN]):
        return f"in {token[0].decode()}", start
    character = document[offset : offset + 4].decode(errors="ignore")[:1]
    return character if character.isprintable() else f"U+{ord(character):04X}", offset


def check_depth(document: bytes, limit: int = DEPTH_LIMIT) -> None:
    """Raise NotJSON when `document` is nested deeper than `limit`. Brackets inside strings do not count.

    Works in chunks, so that a caller's thread releases the GIL between two of them.
    """
    if document.count(b"[") + document.count(b"{") <= limit:
        return
    depth, in_string, escape = 0, False, b""
    for start in range(0, len(document), _CHUNK_BYTES):
        chunk = escape + document[start : start + _CHUNK_BYTES]
        chunk_offset = start - len(escape)
        # A backslash that begins an escape at the end of the chunk belongs to the next one.
        escape = b"\\" if (len(chunk) - len(chunk.rstrip(b"\\"))) % 2 else b""
        chunk = chunk[: len(chunk) - len(escape)]
        parts = chunk.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        brackets = b"".join(parts[in_string::2]).translate(None, _NOT_BRACKETS)
        depths = list(accumulate(map(_DEPTH_CHANGE.__getitem__, brackets), initial=depth))
        if max(depths) > limit:
            offset = chunk_offset + _find_bracket(chunk, in_string, limit - depth)
            raise _too_deep(limit, offset)
        in_string ^= len(parts) % 2 == 0
        depth = depths[-1]


def _too_deep(limit: int, offset: int) -> NotJSON:
    reason = f"nested deeper than {limit} levels"
    return NotJSON(f"{reason} (byte {offset})", reason, offset)


def _find_bracket(chunk: bytes, in_string: bool, levels: int) -> int:
    """Return the offset of the first bracket in `chunk` that opens more than `levels` levels."""
    quote = b'"' if in_string else b""
    for found in _STRING_OR_BRACKET.finditer(quote + chunk):
        levels -= _DEPTH_CHANGE[found[0][0]]
        if levels < 0:
            return found.start() - len(quote)
    return 0

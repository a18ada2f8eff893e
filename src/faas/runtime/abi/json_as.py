"""JSON documents in the spelling that json-as 1.6.0 reads right, and a repair of the documents that it writes.

json-as misreads spellings that JSON allows. It takes an escaped backslash before a quote for an escaped quote,
compares keys and dates as they are written, reads `\\/` as NUL, and an integer with a point or an exponent as another
number. For each there is another spelling of the same value. Most documents have none of them: the checks come first.
"""

import re
from decimal import Decimal, InvalidOperation

_UNICODE_ESCAPE = re.compile(
    r"\\u(?!005c|0022|00[01])(?:([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|([0-9a-fA-F]{4}))"
)
_POINT_ZERO = re.compile(rb"\.0+(?![0-9eE])")
_DIGITS_AS_ZERO = bytes.maketrans(b"123456789E", b"000000000e")
_FRACTION_OF_ZERO = re.compile(_POINT_ZERO.pattern.decode())
# Possessive, and not begun inside a number: a document may be one number of millions of digits.
_WITH_EXPONENT = re.compile(r"(?<![\d.])-?\d++(?:\.\d++)?[eE][+-]?\d+")
_MAX_INTEGER_DIGITS = 20  # of the largest u64
# Up to the end of the text where a string is not closed, so that the search does not begin again at each quote in it.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\Z)', re.DOTALL)
_NOT_FINITE = re.compile(r"-?\b(?:NaN|Infinity)\b")


def normalize(document: bytes) -> str:
    """Return JSON of the same value, without the spellings that json-as misreads.

    In strings, backslashes and quotes are written as `\\u00XX`, other characters without an escape where that is
    possible. Numbers with a point or an exponent whose value is an integer are written as one. There is no whitespace
    around the document.
    """
    text = document.decode().strip(" \t\r\n")
    if b"\\" in document:
        # Every replacement begins at the left, so an escaped backslash never is the beginning of another escape.
        text = text.replace("\\\\", "\\u005c").replace('\\"', "\\u0022").replace("\\/", "/")
        text = _UNICODE_ESCAPE.sub(_unescaped, text)
    integers_with_point = _POINT_ZERO.search(document)
    exponents = b"0e" in document.translate(_DIGITS_AS_ZERO)
    if integers_with_point or exponents:
        pieces = text.split('"')  # no string holds a quote any more: the even pieces are outside strings
        rest = '"'.join(pieces[::2])
        if integers_with_point:
            rest = _FRACTION_OF_ZERO.sub("", rest)
        if exponents:
            rest = _WITH_EXPONENT.sub(_integer, rest)
        pieces[::2] = rest.split('"')
        text = '"'.join(pieces)
    return text


def _unescaped(match: re.Match[str]) -> str:
    """Return an escaped character as itself, unless it is a control character, a quote, a backslash or half a pair."""
    high, low, single = match.groups()
    if high:
        return chr(0x10000 + (int(high, 16) - 0xD800 << 10) + int(low, 16) - 0xDC00)
    code = int(single, 16)
    if code < 0x20 or code in (0x22, 0x5C) or 0xD800 <= code < 0xE000:
        return f"\\u{code:04x}"
    return chr(code)


def _integer(match: re.Match[str]) -> str:
    """Return an integer's digits for a number that is written with an exponent, if it is a small integer."""
    written = match[0]
    try:
        value = Decimal(written)
    except InvalidOperation:  # an exponent of more digits than Decimal takes
        return written
    if not value:
        return "-0" if written.startswith("-") else "0"
    if abs(value.adjusted()) < _MAX_INTEGER_DIGITS and value == value.to_integral_value():
        return f"{value:f}".partition(".")[0]
    return written


def with_null_for_not_finite(output: str) -> str:
    """Return `output` with `null` for NaN and the infinities, which json-as writes as they are called in JavaScript."""
    pieces: list[str] = []
    end = 0
    for string in _STRING.finditer(output):
        pieces += [_NOT_FINITE.sub("null", output[end : string.start()]), string[0]]
        end = string.end()
    return "".join([*pieces, _NOT_FINITE.sub("null", output[end:])])

"""The output streams of a command, and untrusted text on them.

A stream accepts every text, in every encoding. On a terminal, control characters of a text are escaped.
"""

import codecs
import io
import os
import re
import sys
from typing import TextIO

_ERRORS = "faas.escape"
_ASCII = "faas_ascii"

# Characters of our own messages and of rich, for encodings without them.
_PLAIN = {"…": "...", "→": "->", "–": "-", "µ": "u"}

# Control characters but tab and line feed, marks that reorder text, line separators and unpaired surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_NOT_ASCII = re.compile("[^\x00-\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def open_output_streams() -> None:
    """Have `sys.stdout` and `sys.stderr` escape what their encoding lacks; a closed one becomes `/dev/null`.

    Called once, before the command line is parsed.
    """
    codecs.register(_find_ascii)
    codecs.register_error(_ERRORS, _escape)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name) or _open_null(descriptor)
        if isinstance(stream, io.TextIOWrapper):
            # click takes ASCII for a mistake and writes UTF-8 to it, unless it has another name.
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding=_ASCII if ascii_only else None, errors=_ERRORS)
        setattr(sys, name, stream)


def drop_output() -> None:
    """Redirect standard output, which cannot be written, so that the interpreter does not fail on it at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def for_display(text: str, stream: TextIO) -> str:
    """Return an untrusted text for `stream`: unchanged, but on a terminal without control characters."""
    return escape_controls(text.replace("\r\n", "\n")) if stream.isatty() else text


def for_cell(text: str) -> str:
    """Return an untrusted text for one cell of a table, on one line and without control characters."""
    return escape_controls(text).replace("\n", "\\n").replace("\t", "\\t")


def escape_controls(text: str) -> str:
    """Replace control characters by escapes such as `\\x1b`, and keep tabs and line feeds."""
    return _UNSAFE.sub(lambda found: _backslash(found[0]), text)


def json_for_display(document: str, stream: TextIO) -> str:
    r"""Return a JSON text for `stream`, with `\u` escapes for what its encoding or a terminal must not get."""
    if not stream.encoding.lower().startswith("utf"):
        return _NOT_ASCII.sub(_json_escape, document)
    if not stream.isatty():
        return _SURROGATE.sub(_json_escape, document)
    # A carriage return in JSON is white space between tokens. Inside a string there is no control character but DEL and
    # U+0080 to U+009F.
    return _UNSAFE.sub(_json_escape, document.replace("\r\n", "\n").replace("\r", "\n"))


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(
        _PLAIN.get(character) or _backslash(character) for character in error.object[error.start : error.end]
    ), error.end


def _backslash(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _find_ascii(name: str) -> codecs.CodecInfo | None:
    if name != _ASCII:
        return None
    real = codecs.lookup("ascii")
    return codecs.CodecInfo(
        real.encode,
        real.decode,
        incrementalencoder=real.incrementalencoder,
        incrementaldecoder=real.incrementaldecoder,
        name=_ASCII,
    )


def _open_null(descriptor: int) -> TextIO:
    """Open `/dev/null` as `descriptor`, so that no file or socket of the command gets the number of a closed stream."""
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    return open(descriptor, "w", encoding="utf-8", closefd=False)

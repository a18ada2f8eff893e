"""Input files of the commands: sources of functions and inputs of executions."""

import base64
import codecs
import os
import re
import sys
from pathlib import Path
from typing import get_args

from faas import json_documents
from faas.errors import ConfigurationError
from faas.languages import Language

LANGUAGES: tuple[Language, ...] = get_args(Language)
# The longest ending of a file's name decides.
LANGUAGE_OF_EXTENSION: dict[str, Language] = {
    ".as.ts": "assemblyscript",
    ".as": "assemblyscript",
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".ts": "typescript",
    ".mts": "typescript",
    ".py": "python",
    ".wat": "wat",
    ".wasm": "wasm",
}

# The object around an input in a request is one of the levels that the server counts.
_INPUT_DEPTH_LIMIT = json_documents.DEPTH_LIMIT - 1

# Editors and PowerShell begin files with a byte order mark. UTF-32 is first: its mark begins with that of UTF-16.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_JSON_WHITESPACE = b" \t\r\n"
_LINE_END = re.compile(r"\r\n|\r|\n")
_LONE_CARRIAGE_RETURN = re.compile(r"\r(?!\n)")
_KINDS = {"[": "an array", '"': "a string", "t": "a boolean", "f": "a boolean"}  # a number otherwise


def language_of(file: Path) -> Language:
    """Return the language of `file` by its extension. Raises ConfigurationError for an unknown extension."""
    extension = extension_of(file)
    if extension is None:
        raise ConfigurationError(f"{file}: cannot infer the language from {file.suffix!r}; pass --language")
    return LANGUAGE_OF_EXTENSION[extension]


def function_name_of(file: Path) -> str:
    """Return the name that a function has by default: that of its file without the whole extension."""
    return file.name.removesuffix(extension_of(file) or file.suffix)


def extension_of(file: Path) -> str | None:
    """Return the known extension that the name of `file` ends with, or None."""
    return next((extension for extension in LANGUAGE_OF_EXTENSION if file.name.endswith(extension)), None)


def read_source(file: Path, language: str) -> str:
    """Return the source as the API accepts it: text, or a module in base64.

    Raises ConfigurationError when the file cannot be read or is not UTF-8, or UTF-16 or UTF-32 with its mark.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    if language == "wasm":
        return base64.b64encode(content).decode()
    # The compilers do not count a carriage return alone as the end of a line.
    return _LONE_CARRIAGE_RETURN.sub("\n", _decode(content, str(file)))


def read_text_file(file: Path) -> str:
    """Return a file as text. Raises ConfigurationError when it cannot be read or is not UTF-8."""
    try:
        return _decode(file.read_bytes(), str(file))
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None


def read_input(source: str) -> bytes:
    """Return the input that `source` names: JSON, `@file`, or `-` for stdin. An empty input and `null` mean `{}`.

    Raises ConfigurationError, with the line and the column, unless the input is a JSON object that can be read.
    """
    place = f"--input {source}" if source == "-" or source.startswith("@") else "--input"
    text = _decode(_read(source, place), place)
    document = text.encode()
    if not document.strip(_JSON_WHITESPACE):
        return b"{}"
    try:
        json_documents.check(document, _INPUT_DEPTH_LIMIT)
    except json_documents.NotJSON as error:
        lines = _LINE_END.split(document[: error.offset].decode(errors="ignore"))
        position = f"line {len(lines)}, column {len(lines[-1]) + 1}"
        raise ConfigurationError(f"{place}: {position}: {error.reason}") from None
    document = document.strip(_JSON_WHITESPACE)
    if document == b"null":
        return b"{}"
    if not document.startswith(b"{"):
        kind = _KINDS.get(chr(document[0]), "a number")
        raise ConfigurationError(f"{place}: is {kind}; accepted is a JSON object, or null for {{}}")
    return document


def read_text_argument(value: str, place: str) -> str:
    """Return an argument as text, also where the locale could not decode it. Raises ConfigurationError if not UTF-8."""
    try:
        return _encode_argument(value).decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{place}: invalid UTF-8 at byte {error.start}") from None


def _read(source: str, place: str) -> bytes:
    try:
        if source == "-":
            if sys.stdin is None:
                raise ConfigurationError(f"{place}: standard input is closed")
            return sys.stdin.buffer.read()
        if source.startswith("@"):
            return Path(source[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{place}: {error.strerror}") from None
    return _encode_argument(source)


def _encode_argument(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError:  # the encoding of the locale could not decode the bytes of the argument
        return os.fsencode(value)


def _decode(content: bytes, place: str) -> str:
    """Return `content` as text without a byte order mark. Raises ConfigurationError with the byte that is invalid."""
    mark = next((mark for mark in _BYTE_ORDER_MARKS if content.startswith(mark)), b"")
    encoding = _BYTE_ORDER_MARKS.get(mark, "utf-8")
    try:
        return content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        name = encoding.upper().removesuffix("-LE").removesuffix("-BE")
        raise ConfigurationError(f"{place}: invalid {name} at byte {len(mark) + error.start}") from None

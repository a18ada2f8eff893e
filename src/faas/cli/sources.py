"""What commands read: a function's source, and an input document."""

import base64
import os
import sys
from pathlib import Path

from faas.errors import ConfigurationError

LANGUAGES = {".ts": "assemblyscript", ".wat": "wat", ".wasm": "wasm"}


def language_of(file: Path) -> str:
    """By the file's ending. Raises ConfigurationError when it has none that we know."""
    language = LANGUAGES.get(file.suffix)
    if language is None:
        raise ConfigurationError(f"{file}: no language goes by {file.suffix!r}; say --language")
    return language


def read_source(file: Path, language: str) -> str:
    """The source as the API takes it: text, or a module in base64. Raises ConfigurationError."""
    try:
        if language == "wasm":
            return base64.b64encode(file.read_bytes()).decode()
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None


def input_document(source: str) -> bytes:
    """The bytes as given in `source`: JSON, `@file`, or `-` for stdin. Nothing at all means `{}`."""
    if source == "-":
        content = sys.stdin.buffer.read()
    elif source.startswith("@"):
        try:
            content = Path(source[1:]).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"--input {source}: {error.strerror}") from None
    else:
        content = os.fsencode(source)  # as the shell gave it
    return content.strip() or b"{}"

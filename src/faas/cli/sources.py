"""Input files of the commands: sources of functions and inputs of executions."""

import base64
import os
import sys
from pathlib import Path

from faas.errors import ConfigurationError

LANGUAGE_OF_EXTENSION = {".ts": "assemblyscript", ".wat": "wat", ".wasm": "wasm"}


def language_of(file: Path) -> str:
    """Return the language of `file` by its extension. Raises ConfigurationError for an unknown extension."""
    language = LANGUAGE_OF_EXTENSION.get(file.suffix)
    if language is None:
        raise ConfigurationError(f"{file}: cannot infer the language from {file.suffix!r}; pass --language")
    return language


def read_source(file: Path, language: str) -> str:
    """Return the source as the API accepts it: text, or a module in base64.

    Raises ConfigurationError when the file cannot be read or is not UTF-8.
    """
    try:
        if language == "wasm":
            return base64.b64encode(file.read_bytes()).decode()
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None


def read_input(source: str) -> bytes:
    """Return the input that `source` names: JSON, `@file`, or `-` for stdin. Empty input means `{}`.

    Raises ConfigurationError when the file cannot be read.
    """
    if source == "-":
        content = sys.stdin.buffer.read()
    elif source.startswith("@"):
        try:
            content = Path(source[1:]).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"--input {source}: {error.strerror}") from None
    else:
        content = os.fsencode(source)  # the bytes of the argument, also if they are not UTF-8
    return content.strip() or b"{}"

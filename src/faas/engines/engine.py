"""An engine module, addressed by its content."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from faas.languages import Language

EngineName = Literal["javascript", "python"]
LANGUAGES: Mapping[EngineName, frozenset[Language]] = {  # whose functions are images of the engine
    "javascript": frozenset({"javascript", "typescript"}),
    "python": frozenset({"python"}),
}


class Engine(msgspec.Struct, frozen=True):
    """The WebAssembly module of an interpreter in `file`. `digest` is the SHA-256 of its `binary`."""

    name: EngineName
    file: Path
    binary: bytes
    digest: bytes

    @classmethod
    def read(cls, name: EngineName, file: Path) -> "Engine":
        """Read the module from `file`. Raises OSError."""
        binary = file.read_bytes()
        return cls(name, file, binary, hashlib.sha256(binary).digest())

"""What an entry of the corpus is, and the outcome that it must have."""

from enum import StrEnum

import msgspec


class Fate(StrEnum):
    """How a function may end: refused before it is READY, or READY and then COMPLETED or FAILED."""

    REFUSED = "compile FAILED"
    COMPLETED = "READY, COMPLETED"
    FAILED = "READY, FAILED"


class Hostile(msgspec.Struct, frozen=True):
    """A source and its fate. `told` is part of the compile error, the error message or, when COMPLETED, the output.

    `source` is bytes for a module, text otherwise; `document` is the input.
    """

    source: bytes | str
    fate: Fate
    told: str
    document: bytes = b"{}"


def refused(source: bytes | str, told: str) -> Hostile:
    """Never becomes READY."""
    return Hostile(source, Fate.REFUSED, told)


def fails(source: bytes | str, told: str, document: bytes = b"{}") -> Hostile:
    """Becomes READY, and its executions FAIL."""
    return Hostile(source, Fate.FAILED, told, document)


def completes(source: bytes | str, told: str = "{}", document: bytes = b"{}") -> Hostile:
    """Becomes READY, and whatever it tried its executions are COMPLETED."""
    return Hostile(source, Fate.COMPLETED, told, document)

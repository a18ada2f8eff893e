"""The entries of the corpus and their expected outcomes."""

from enum import StrEnum

import msgspec


class Fate(StrEnum):
    """The possible outcomes: refused before READY, or READY and then COMPLETED or FAILED."""

    REFUSED = "compile FAILED"
    COMPLETED = "READY, COMPLETED"
    FAILED = "READY, FAILED"


class Hostile(msgspec.Struct, frozen=True):
    """A source and its outcome. `told` is part of the compile error, the error message or, when COMPLETED, the output.

    `source` is bytes for a module, text otherwise; `document` is the input. An `endless` one runs until its time is over,
    although its message says something else.
    """

    source: bytes | str
    fate: Fate
    told: str
    document: bytes = b"{}"
    endless: bool = False


def refused(source: bytes | str, told: str) -> Hostile:
    """Expect that it never becomes READY."""
    return Hostile(source, Fate.REFUSED, told)


def fails(source: bytes | str, told: str, document: bytes = b"{}", *, endless: bool = False) -> Hostile:
    """Expect that it becomes READY and its executions are FAILED."""
    return Hostile(source, Fate.FAILED, told, document, endless)


def completes(source: bytes | str, told: str = "{}", document: bytes = b"{}") -> Hostile:
    """Expect that it becomes READY and its executions are COMPLETED."""
    return Hostile(source, Fate.COMPLETED, told, document)

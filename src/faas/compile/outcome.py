"""The results of a compiler."""

import msgspec


class Compiled(msgspec.Struct, frozen=True):
    """The compiled module."""

    binary: bytes


class CompileFailure(msgspec.Struct, frozen=True):
    """The source does not compile: the compiler's `diagnostics`, or the limit that it exceeded.

    `of_source` is False where the source was not read, because a part of the compiler is missing.
    """

    diagnostics: str
    of_source: bool = True

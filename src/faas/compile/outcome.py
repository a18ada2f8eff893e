"""The results of a compiler."""

import msgspec


class Compiled(msgspec.Struct, frozen=True):
    """The compiled module."""

    binary: bytes


class CompileFailure(msgspec.Struct, frozen=True):
    """The source does not compile: the compiler's `diagnostics`, or the limit that it exceeded."""

    diagnostics: str

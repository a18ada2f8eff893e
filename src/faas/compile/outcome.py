"""What a compiler gives back."""

import msgspec


class Compiled(msgspec.Struct, frozen=True):
    """A module."""

    binary: bytes


class Rejected(msgspec.Struct, frozen=True):
    """The source does not compile: the compiler's own `diagnostics`, or which limit was reached."""

    diagnostics: str

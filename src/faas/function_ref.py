"""The reference by which clients name a function: its id or its name, with `@N` for its revision N.

Names that look like a UUID are not accepted for functions, so a reference is never ambiguous.
"""

import re
from uuid import UUID

import msgspec

from faas.errors import InvalidRequest

FUNCTION_NAME_FORM = "1 to 64 of a-z A-Z 0-9 - _ . starting with a letter"
_FUNCTION_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]{0,63}")
_REVISION = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_MAX_REVISION = 2**31 - 1
_UUID_LENGTH = 36  # characters
_REFERENCE_SHOWN = 100  # characters of a refused reference in the error message


class FunctionRef(msgspec.Struct, frozen=True):
    """A reference to a function: exactly one of `id` and `name` is set. `revision` is None unless one is named."""

    id: UUID | None
    name: str | None
    revision: int | None = None

    def __str__(self) -> str:
        function = str(self.id or self.name)
        return function if self.revision is None else f"{function}@{self.revision}"

    @classmethod
    def by_id(cls, function_id: UUID) -> "FunctionRef":
        """Return a reference by id."""
        return cls(function_id, None)

    @classmethod
    def by_name(cls, name: str) -> "FunctionRef":
        """Return a reference by name."""
        return cls(None, name)

    @classmethod
    def parse(cls, text: str) -> "FunctionRef":
        """Return the reference that `text` is: an id or a name, which `@N` may follow. Raises InvalidRequest."""
        function, at, number = text.partition("@")
        revision = parse_revision(number, "id") if at else None
        if function_id := parse_uuid(function):
            return cls(function_id, None, revision)
        if is_function_name(function):
            return cls(None, function, revision)
        shown = repr(text[:_REFERENCE_SHOWN])
        raise InvalidRequest("id", f"{shown} is neither a UUID nor a function name ({FUNCTION_NAME_FORM})")

    @classmethod
    def parse_unnumbered(cls, text: str) -> "FunctionRef":
        """Return the reference that `text` is, without a revision. Raises InvalidRequest."""
        function_ref = cls.parse(text)
        if function_ref.revision is not None:
            shown = repr(text[:_REFERENCE_SHOWN])
            accepted = "a function is accepted here, without @revision"
            raise InvalidRequest("id", f"{shown} names a revision; {accepted}")
        return function_ref


def parse_revision(text: str, field: str = "revision") -> int:
    """Return the number of a revision: decimal, without leading zeros. Raises InvalidRequest for `field`."""
    if _REVISION.fullmatch(text) and int(text) <= _MAX_REVISION:
        return int(text)
    accepted = f"a whole number from 1 to {_MAX_REVISION}"
    raise InvalidRequest(field, f"{text[:_REFERENCE_SHOWN]!r} is not the number of a revision, {accepted}")


def is_function_name(text: str) -> bool:
    """Return True if `text` is accepted as the name of a function."""
    return _FUNCTION_NAME.fullmatch(text) is not None and parse_uuid(text) is None


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID that `text` is in canonical form (8-4-4-4-12), or None. Python's UUID() accepts more forms."""
    if len(text) != _UUID_LENGTH:
        return None
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text.lower() else None

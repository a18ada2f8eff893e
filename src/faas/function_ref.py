"""The reference by which clients name a function: its id or its name.

Names that look like a UUID are not accepted for functions, so a reference is never ambiguous.
"""

import re
from uuid import UUID

import msgspec

from faas.errors import InvalidRequest

FUNCTION_NAME_FORM = "1 to 64 of a-z A-Z 0-9 - _ . starting with a letter"
_FUNCTION_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9._-]{0,63}")
_UUID_LENGTH = 36  # characters
_REFERENCE_SHOWN = 100  # characters of a refused reference in the error message


class FunctionRef(msgspec.Struct, frozen=True):
    """A reference to a function: exactly one of `id` and `name` is set. Its text is what the client sent."""

    id: UUID | None
    name: str | None

    def __str__(self) -> str:
        return str(self.id or self.name)

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
        """Return the reference that `text` is. Raises InvalidRequest when it is neither a UUID nor a function name."""
        if function_id := parse_uuid(text):
            return cls(function_id, None)
        if is_function_name(text):
            return cls(None, text)
        shown = repr(text[:_REFERENCE_SHOWN])
        raise InvalidRequest("id", f"{shown} is neither a UUID nor a function name ({FUNCTION_NAME_FORM})")


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

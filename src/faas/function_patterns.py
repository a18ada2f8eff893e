"""Patterns of function names, which say what functions a token may reach: `orders-*` is every name that begins so."""

import re
from collections.abc import Iterable

import msgspec

from faas.errors import InvalidRequest

PATTERN_FORM = "1 to 64 of a-z A-Z 0-9 - _ . and *, which stands for any characters"
_PATTERN = re.compile(r"[a-zA-Z0-9._*-]{1,64}")
MAX_PATTERNS = 100


class FunctionPatterns(msgspec.Struct, frozen=True):
    """Which names of functions are admitted: those that one of `patterns` fits as a whole. Case counts."""

    patterns: tuple[str, ...]

    @property
    def like(self) -> list[str]:
        """The same patterns for `name LIKE ANY (...)` in SQL."""
        return [pattern.replace("_", r"\_").replace("*", "%") for pattern in self.patterns]

    def admits(self, name: str) -> bool:
        """Return whether a function with this name may be reached."""
        return any(_fits(pattern, name) for pattern in self.patterns)


def parse_patterns(patterns: Iterable[str], field: str) -> FunctionPatterns:
    """Return the patterns without duplicates. Raises InvalidRequest for `field`."""
    unique = tuple(dict.fromkeys(patterns))
    if not 1 <= len(unique) <= MAX_PATTERNS:
        raise InvalidRequest(
            field, f"{len(unique)} patterns; accepted are 1 to {MAX_PATTERNS}, or null for all functions"
        )
    for pattern in unique:
        if not _PATTERN.fullmatch(pattern):
            raise InvalidRequest(field, f"{pattern[:100]!r} is not a pattern of names: {PATTERN_FORM}")
    return FunctionPatterns(unique)


def _fits(pattern: str, name: str) -> bool:
    """Return whether `pattern` fits all of `name`, in time proportional to their lengths."""
    first, *rest = pattern.split("*")
    if not rest:
        return name == pattern
    *middle, last = rest
    if not name.startswith(first) or len(name) < len(first) + len(last) or not name.endswith(last):
        return False
    position, end = len(first), len(name) - len(last)
    for part in middle:  # the leftmost place of each part leaves the most room for the others
        found = name.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True

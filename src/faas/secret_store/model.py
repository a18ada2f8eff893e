"""The data of secrets. A value is in ResolvedSecret alone, which does not show it."""

from datetime import datetime
from typing import Any

import msgspec


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as operators are shown it: without its value.

    `hosts` has the origins to which the server sends the value for a function, which then does not see it; None where
    functions get the value itself. `functions` has patterns of the functions that may name it; without any, none may.
    """

    name: str
    hosts: tuple[str, ...] | None
    functions: tuple[str, ...]
    key_id: str
    created_by: str | None
    created_at: datetime
    updated_by: str | None
    updated_at: datetime


class StoredSecret(msgspec.Struct, frozen=True):
    """A secret that was just set, and whether there was none of its name before."""

    secret: Secret
    created: bool


class ResolvedSecret(msgspec.Struct, frozen=True):
    """The value of a secret for one execution. With `hosts` it must not enter the guest; without any, it may.

    Neither `repr` nor rich shows the value, so that no log or trace does.
    """

    value: str
    hosts: tuple[str, ...]

    def __repr__(self) -> str:
        """Return the hosts alone."""
        return f"ResolvedSecret(value=…, hosts={self.hosts!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return the hosts alone: msgspec's own method returns every field."""
        return [("hosts", self.hosts)]

"""Who makes a request, and what it may do: the token that a request came with, as the services see it."""

from typing import Literal

import msgspec

from faas.errors import FunctionNotFound, NotAllowed
from faas.function_patterns import FunctionPatterns
from faas.function_ref import FunctionRef

Scope = Literal["read", "invoke", "deploy", "admin"]


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """A token, or any client of a server without authentication (ANYONE).

    `token_name` is recorded with what the caller makes. `functions` is None when it may reach all of them.
    `public_only`: it may call functions whose settings admit anyone, and nothing else.
    """

    token_id: str | None = None
    token_name: str | None = None
    scopes: frozenset[Scope]
    functions: FunctionPatterns | None = None
    public_only: bool = False
    via: Literal["api", "database"] = "api"

    @property
    def like(self) -> list[str] | None:
        """The names of the functions that the caller may reach, for LIKE ANY; None for all."""
        return None if self.functions is None else self.functions.like

    def has(self, scope: Scope) -> bool:
        """Return whether the caller has `scope`, which `admin` implies."""
        return scope in self.scopes or "admin" in self.scopes

    def reaches(self, name: str) -> bool:
        """Return whether the caller may reach a function with this name."""
        return self.functions is None or self.functions.admits(name)

    def check_reference(self, function_ref: FunctionRef) -> None:
        """Raise FunctionNotFound for a name that the caller may not reach, without a look at the database.

        What an id names is known only there: its statements take `like`.
        """
        if function_ref.name is not None and not self.reaches(function_ref.name):
            raise FunctionNotFound(str(function_ref))

    def check_name(self, name: str) -> None:
        """Raise NotAllowed when the caller may not give a function this name, whether or not one has it."""
        if not self.reaches(name):
            assert self.functions is not None
            patterns = ", ".join(self.functions.patterns)
            raise NotAllowed(f"name: {name!r} is outside the functions of this token: {patterns}")


_ALL_SCOPES: frozenset[Scope] = frozenset({"read", "invoke", "deploy", "admin"})
ANYONE = Caller(scopes=_ALL_SCOPES)
PUBLIC = Caller(scopes=frozenset({"invoke"}), public_only=True)
"""Any client of an HTTP endpoint, where tokens are asked for and it has none."""
OPERATOR = Caller(scopes=_ALL_SCOPES, via="database")
"""The command line on the database itself."""

"""The data of tokens."""

from datetime import datetime

import msgspec

from faas.caller import Scope


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as its owner and operators are shown it: without its secret, of which only a digest is stored.

    `functions` has the patterns of the functions that it may reach, None for all. `last_used_at` is seconds late.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    functions: tuple[str, ...] | None
    per_second: float | None
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class TokenDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a client chooses of a new token. `expires_in` is in seconds, None for never; TokenService checks it."""

    name: str
    scopes: tuple[str, ...]
    functions: tuple[str, ...] | None = None
    per_second: float | None = None
    expires_in: float | None = None


class NewToken(msgspec.Struct, frozen=True):
    """A token that was just made, with its text, `faas_<id>_<secret>`, which is shown this once."""

    token: Token
    text: str

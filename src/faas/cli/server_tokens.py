"""Where the commands of tokens find them: over HTTP here, in a database in database_tokens.py."""

from typing import Any, Protocol

from faas.access.model import TokenDraft
from faas.cli.client import Client
from faas.errors import TokenNotFound


class TokenStore(Protocol):
    """Tokens, as `/tokens` has them. `place` says in messages where they are."""

    place: str

    def create(self, draft: TokenDraft) -> tuple[dict[str, Any], bool]:
        """Make a token. Returns it with its text as `token`, and whether it is the first one."""

    def list(self) -> list[dict[str, Any]]:
        """Return all tokens by name."""

    def revoke(self, reference: str) -> tuple[str, bool]:
        """Revoke a token by its name or id. Returns its name, and whether it was revoked before."""


class ServerTokens:
    """The tokens of a server, over HTTP."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.place = f"on {client.url}"

    def create(self, draft: TokenDraft) -> tuple[dict[str, Any], bool]:
        """Make a token. Returns it with its text, and whether it is the first one. Raises ServerError."""
        first = not self._client.pages("/tokens", 1)
        body = {
            "name": draft.name,
            "scopes": draft.scopes,
            "functions": draft.functions,
            "perSecond": draft.per_second,
            "expiresIn": draft.expires_in,
        }
        return self._client.call("POST", "/tokens", json=body).json(), first

    def list(self) -> list[dict[str, Any]]:
        """Return all tokens by name. Raises ServerError."""
        return self._client.pages("/tokens")

    def revoke(self, reference: str) -> tuple[str, bool]:
        """Revoke a token by its name or id. Returns its name, and whether it was revoked before.

        Raises ServerError, TokenNotFound.
        """
        tokens = self.list()
        # As the statement find_token does it: an id before the same text as a name.
        found = [token for key in ("id", "name") for token in tokens if token[key] == reference]
        if not found:
            raise TokenNotFound(reference)
        self._client.call("DELETE", f"/tokens/{found[0]['id']}")
        return found[0]["name"], found[0]["revokedAt"] is not None

"""Tokens for tests, made on the database as the command line does."""

from typing import Any

from faas.access.model import NewToken, TokenDraft
from faas.access.service import TokenService
from faas.caller import OPERATOR
from faas.database.pool import Pool


async def make_token(pool: Pool, name: str, *scopes: str, **fields: Any) -> NewToken:
    """Make a token with these scopes; `fields` are those of TokenDraft."""
    return await TokenService(pool).create(OPERATOR, TokenDraft(name=name, scopes=scopes, **fields))


def bearer(token: NewToken | str) -> dict[str, str]:
    """Return the headers of a request with this token."""
    return {"Authorization": f"Bearer {token if isinstance(token, str) else token.text}"}

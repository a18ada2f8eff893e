"""Typed functions for the statements of sql/queries/access.sql, one for each statement."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from faas.database.pool import Connection
from faas.database.queries import load

_sql = load("access")


class TokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A token without the digest of its secret."""

    id: str
    name: str
    scopes: list[str]
    function_patterns: list[str] | None
    per_second: float | None
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class AdmittedTokenRow(msgspec.Struct, frozen=True, kw_only=True):
    """A token that is not revoked and has not expired, and for how many seconds more; None is no end."""

    id: str
    name: str
    secret_digest: bytes
    scopes: list[str]
    function_patterns: list[str] | None
    per_second: float | None
    seconds_left: float | None


class ChangesRow(msgspec.Struct, frozen=True, kw_only=True):
    """The number of changes of tokens so far, and whether there has been a token."""

    number: int
    any_token: bool


async def insert_token(
    connection: Connection,
    *,
    id: str,  # noqa: A002 - the name of the column
    name: str,
    secret_digest: bytes,
    scopes: Sequence[str],
    function_patterns: Sequence[str] | None,
    per_second: float | None,
    created_by: str | None,
    expires_in: float | None,
) -> TokenRow:
    """Insert a token. Raises asyncpg.UniqueViolationError when its name is taken."""
    row = await _sql.insert_token(
        connection,
        id=id,
        name=name,
        secret_digest=secret_digest,
        scopes=scopes,
        function_patterns=function_patterns,
        per_second=per_second,
        created_by=created_by,
        expires_in=expires_in,
    )
    return TokenRow(**row)


async def list_tokens(connection: Connection, *, cursor: str | None, limit: int) -> list[TokenRow]:
    """Return up to `limit` tokens by name, after the name `cursor` where given."""
    rows = _sql.list_tokens(connection, cursor=cursor, limit=limit)
    return [TokenRow(**row) async for row in rows]


async def revoke_token(connection: Connection, *, id: str) -> str | None:  # noqa: A002 - the name of the column
    """Revoke a token that is not revoked; return its name, or None when there is no such token."""
    name: str | None = await _sql.revoke_token(connection, id=id)
    return name


async def find_token(connection: Connection, *, reference: str) -> TokenRow | None:
    """Return the token with this id or name, or None."""
    row = await _sql.find_token(connection, reference=reference)
    return TokenRow(**row) if row else None


async def get_changes(connection: Connection) -> ChangesRow:
    """Return the number of changes of tokens."""
    return ChangesRow(**await _sql.get_changes(connection))


async def list_admitted(connection: Connection) -> list[AdmittedTokenRow]:
    """Return every token that is not revoked and has not expired."""
    rows = _sql.list_admitted(connection)
    return [AdmittedTokenRow(**row) async for row in rows]


async def record_use(connection: Connection, *, ids: Sequence[str], seconds_ago: Sequence[float]) -> None:
    """Record when tokens were last used."""
    await _sql.record_use(connection, ids=ids, seconds_ago=seconds_ago)

"""Making, listing and revoking tokens."""

import math
import re

import asyncpg
import msgspec
import structlog

from faas import audit
from faas.access import queries, token_text
from faas.access.model import NewToken, Token, TokenDraft
from faas.access.queries import TokenRow
from faas.caller import Caller, Scope
from faas.database.pool import Pool, acquire
from faas.errors import InvalidRequest, TokenNameTaken, TokenNotFound
from faas.function_patterns import FunctionPatterns, parse_patterns

log = structlog.get_logger()

SCOPES: tuple[Scope, ...] = ("read", "invoke", "deploy", "admin")
_NAME_FORM = "1 to 64 of a-z A-Z 0-9 - _ . starting with a letter"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
MAX_PER_SECOND = 1_000_000.0
MIN_PER_SECOND = 0.001
MAX_EXPIRY_SECONDS = 10 * 365 * 86_400.0


class TokenService:
    """The tokens in the database of `pool`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, caller: Caller, draft: TokenDraft) -> NewToken:
        """Make a token, and return it with its text, which is not stored. Raises InvalidRequest, TokenNameTaken."""
        patterns = check_draft(draft)
        text = token_text.generate()
        async with acquire(self._pool) as connection, connection.transaction():
            try:
                row = await queries.insert_token(
                    connection,
                    id=text.id,
                    name=draft.name,
                    secret_digest=text.digest,
                    scopes=[scope for scope in SCOPES if scope in draft.scopes],
                    function_patterns=None if patterns is None else patterns.patterns,
                    per_second=draft.per_second,
                    created_by=caller.token_name,
                    expires_in=draft.expires_in,
                )
            except asyncpg.UniqueViolationError:
                raise TokenNameTaken(draft.name) from None
            await audit.record(connection, caller, "token.created", draft.name)
        log.info("token.created", token_id=row.id, name=row.name, scopes=row.scopes)
        return NewToken(_to_token(row), str(text))

    async def list(self, *, limit: int, cursor: str | None = None) -> list[Token]:
        """Return up to `limit` tokens by name, after the name `cursor` where given, revoked ones too."""
        async with acquire(self._pool) as connection:
            rows = await queries.list_tokens(connection, limit=limit, cursor=cursor)
        return [_to_token(row) for row in rows]

    async def find(self, reference: str) -> Token:
        """Return the token with this id or name. Raises TokenNotFound."""
        async with acquire(self._pool) as connection:
            row = await queries.find_token(connection, reference=reference)
        if row is None:
            raise TokenNotFound(reference)
        return _to_token(row)

    async def revoke(self, caller: Caller, token_id: str) -> None:
        """Revoke a token; every process refuses it within 2 s. A second time changes nothing. Raises TokenNotFound."""
        if not token_text.is_id(token_id):  # Postgres refuses a NUL in a parameter
            raise TokenNotFound(token_id)
        async with acquire(self._pool) as connection, connection.transaction():
            name = await queries.revoke_token(connection, id=token_id)
            if name is None:
                found = await queries.find_token(connection, reference=token_id)
                if found is None or found.id != token_id:
                    raise TokenNotFound(token_id)
                return
            await audit.record(connection, caller, "token.revoked", name)
        log.info("token.revoked", token_id=token_id, name=name)


def check_draft(draft: TokenDraft) -> FunctionPatterns | None:
    """Return the patterns of the token, None for all functions. Raises InvalidRequest."""
    if not _NAME.fullmatch(draft.name):
        raise InvalidRequest("name", f"{draft.name[:100]!r} is not the name of a token: {_NAME_FORM}")
    if not draft.scopes:
        raise InvalidRequest("scopes", f"none is given; accepted are {', '.join(SCOPES)}")
    for scope in draft.scopes:
        if scope not in SCOPES:
            raise InvalidRequest("scopes", f"{scope[:100]!r} is not one of {', '.join(SCOPES)}")
    if draft.per_second is not None and not MIN_PER_SECOND <= draft.per_second <= MAX_PER_SECOND:
        accepted = f"{MIN_PER_SECOND:g} to {MAX_PER_SECOND:.0f} requests per second; without it there is no limit"
        raise InvalidRequest("perSecond", f"{draft.per_second:g} is not accepted; accepted are {accepted}")
    if draft.expires_in is not None and not 1 <= draft.expires_in <= MAX_EXPIRY_SECONDS:
        given = f"{draft.expires_in:g}" if math.isfinite(draft.expires_in) else str(draft.expires_in)
        accepted = f"1 to {MAX_EXPIRY_SECONDS:.0f} (ten years); without it there is no end"
        raise InvalidRequest("expiresIn", f"{given} seconds is not accepted; accepted are {accepted}")
    if draft.functions is None:
        return None
    if "admin" in draft.scopes:
        raise InvalidRequest("functions", "a token with the scope admin reaches all functions; leave the patterns out")
    return parse_patterns(draft.functions, "functions")


def _to_token(row: TokenRow) -> Token:
    fields = msgspec.structs.asdict(row)
    fields["functions"] = fields.pop("function_patterns")
    return msgspec.convert(fields, Token)

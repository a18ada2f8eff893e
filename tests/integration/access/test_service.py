"""Making, listing and revoking tokens on the database."""

import hashlib
import re
from typing import Any

import pytest

from faas.access.model import TokenDraft
from faas.access.service import TokenService
from faas.caller import OPERATOR
from faas.database.pool import Pool
from faas.errors import InvalidRequest, TokenNameTaken, TokenNotFound
from faas.function_patterns import FunctionPatterns
from tests.helpers.access import make_token


async def test_token_is_stored_as_a_digest_alone(pool: Pool) -> None:
    new = await make_token(pool, "shop", "invoke", "read", functions=("orders-*",), per_second=2.5, expires_in=60.0)
    assert re.fullmatch(r"faas_[a-z2-7]{12}_[a-z2-7]{32}", new.text)
    _, token_id, secret = new.text.split("_")
    assert (new.token.id, new.token.scopes, new.token.functions) == (token_id, ("read", "invoke"), ("orders-*",))
    assert await pool.fetchval("SELECT secret_digest FROM tokens") == hashlib.sha256(secret.encode()).digest()
    for table in ("tokens", "audit", "token_changes"):
        assert secret not in str(await pool.fetch(f"SELECT {table}::text FROM {table}"))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": "1st"}, "name: '1st' is not the name of a token: 1 to 64 of a-z A-Z 0-9 - _ ."),
        ({"name": "a\nb"}, "name: 'a\\nb' is not the name of a token"),
        ({"name": "x" * 65}, "name: "),
        ({"scopes": ()}, "scopes: none is given; accepted are read, invoke, deploy, admin"),
        ({"scopes": ("write",)}, "scopes: 'write' is not one of read, invoke, deploy, admin"),
        ({"scopes": ("Admin",)}, "scopes: 'Admin' is not one of"),
        ({"functions": ("a b",)}, "functions: 'a b' is not a pattern of names"),
        ({"functions": ()}, "functions: 0 patterns; accepted are 1 to 100"),
        ({"scopes": ("admin",), "functions": ("a",)}, "functions: a token with the scope admin reaches all functions"),
        ({"per_second": 0.0}, "perSecond: 0 is not accepted; accepted are 0.001 to 1000000 requests per second"),
        ({"per_second": float("nan")}, "perSecond: nan is not accepted"),
        ({"expires_in": 0.0}, "expiresIn: 0 seconds is not accepted; accepted are 1 to 315360000 (ten years)"),
        ({"expires_in": float("inf")}, "expiresIn: inf seconds is not accepted"),
    ],
)
async def test_token_create_refuses(pool: Pool, fields: dict[str, Any], error: str) -> None:
    draft = {"name": "shop", "scopes": ("read",), **fields}
    with pytest.raises(InvalidRequest, match=re.escape(error)):
        await TokenService(pool).create(OPERATOR, TokenDraft(**draft))
    assert await pool.fetchval("SELECT count(*) FROM tokens") == 0


async def test_token_names_are_not_used_again(pool: Pool) -> None:
    new = await make_token(pool, "shop", "read")
    await TokenService(pool).revoke(OPERATOR, new.token.id)
    with pytest.raises(TokenNameTaken, match="there is, or was, a token named 'shop'"):
        await make_token(pool, "shop", "read")


async def test_token_revoke_twice_changes_nothing_and_is_recorded_once(pool: Pool) -> None:
    new = await make_token(pool, "shop", "read")
    tokens = TokenService(pool)
    await tokens.revoke(OPERATOR, new.token.id)
    (revoked,) = await tokens.list(limit=10)
    await tokens.revoke(OPERATOR, new.token.id)
    assert await tokens.list(limit=10) == [revoked]
    entries = await pool.fetch("SELECT action, subject, via, token_name FROM audit ORDER BY id")
    assert [tuple(entry) for entry in entries] == [
        ("token.created", "shop", "database", None),
        ("token.revoked", "shop", "database", None),
    ]
    for unknown in ("shop", "aaaaaaaaaaaa", ""):
        with pytest.raises(TokenNotFound):
            await tokens.revoke(OPERATOR, unknown)


async def test_token_list_pages_by_name(pool: Pool) -> None:
    for name in ("b", "C", "a", "d"):
        await make_token(pool, name, "read")
    tokens = TokenService(pool)
    first = [token.name for token in await tokens.list(limit=2)]
    rest = [token.name for token in await tokens.list(limit=5, cursor=first[-1])]
    assert sorted(first + rest) == ["C", "a", "b", "d"]
    assert len(first) == 2


@pytest.mark.parametrize("pattern", ["*", "orders-*", "a_c", "*_*", "a*b*c", "a.c", "Orders", "*-test"])
async def test_patterns_fit_in_sql_as_in_python(pool: Pool, pattern: str) -> None:
    patterns = FunctionPatterns((pattern,))
    names = ["orders-1", "orders", "Orders", "a_c", "abc", "a.c", "a1b2c", "x-test", "a-c", "abcd", "A_C"]
    found = await pool.fetch(
        "SELECT name FROM unnest($1::text[]) AS name WHERE name LIKE ANY ($2)", names, patterns.like
    )
    assert [row["name"] for row in found] == [name for name in names if patterns.admits(name)]

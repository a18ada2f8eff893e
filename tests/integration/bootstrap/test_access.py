"""When a server asks for tokens, and that it does not start for others without one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest

from faas.bootstrap import open_service
from faas.database.pool import Pool
from faas.errors import ConfigurationError
from faas.settings import Settings
from tests.helpers.access import bearer, make_token
from tests.helpers.support import eventually


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with open_service(settings) as service:
        transport = httpx.ASGITransport(service.application)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield http


async def status(http: httpx.AsyncClient, path: str = "/functions", **headers: str) -> int:
    return (await http.get(path, headers=headers)).status_code


async def test_auto_asks_for_tokens_from_the_first_one_on(settings: Settings, pool: Pool) -> None:
    async with client_of(settings) as http:
        assert await status(http) == 200
        token = await make_token(pool, "first", "read")
        await eventually(lambda: status(http), lambda found: found == 401)
        assert await status(http, **bearer(token)) == 200
        await pool.execute("UPDATE tokens SET revoked_at = clock_timestamp()")
        await eventually(lambda: status(http, **bearer(token)), lambda found: found == 401)
        assert await status(http) == 401, "a revoked token does not open the server"


async def test_required_asks_for_tokens_before_there_is_one(settings: Settings, pool: Pool) -> None:
    async with client_of(msgspec.structs.replace(settings, auth="required")) as http:
        assert await status(http) == 401
        assert await status(http, "/health") == 200
        token = await make_token(pool, "first", "read")
        assert await status(http, **bearer(token)) == 200, "a new token is admitted at once"


async def test_off_asks_for_none(settings: Settings, pool: Pool) -> None:
    await make_token(pool, "first", "read")
    async with client_of(msgspec.structs.replace(settings, auth="off")) as http:
        assert await status(http) == 200
        assert await status(http, Authorization="Bearer nothing") == 200


@pytest.mark.parametrize("auth", ["auto", "required"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "faas.example.com"])  # noqa: S104 - not listened on
async def test_server_for_others_does_not_start_without_a_token(
    settings: Settings, pool: Pool, host: str, auth: str
) -> None:
    chosen = msgspec.structs.replace(settings, host=host, auth=auth)
    with pytest.raises(ConfigurationError) as refused:
        async with open_service(chosen):
            pass
    message = str(refused.value)
    assert message.startswith(f"--host {host} is reached by other machines, and there is no token")
    assert "token create admin --scope admin --database-url URL" in message
    assert "--auth off" in message
    token = await make_token(pool, "first", "read")
    async with client_of(chosen) as http:
        assert await status(http) == 401
        assert await status(http, **bearer(token)) == 200


async def test_server_for_others_does_not_start_with_a_revoked_token(settings: Settings, pool: Pool) -> None:
    await make_token(pool, "first", "admin")
    await pool.execute("UPDATE tokens SET revoked_at = clock_timestamp()")
    with pytest.raises(ConfigurationError, match="there is no token"):
        async with open_service(msgspec.structs.replace(settings, host="0.0.0.0")):  # noqa: S104 - not listened on
            pass


async def test_compiler_asks_for_tokens_too(settings: Settings, pool: Pool) -> None:
    token = await make_token(pool, "monitoring", "read")
    async with client_of(msgspec.structs.replace(settings, role="compiler", languages=("wat", "wasm"))) as http:
        for path in ("/metrics", "/functions", "/"):
            assert await status(http, path) == 401
        assert (await http.get("/health")).json().keys() == {"status"}
        assert await status(http, "/metrics", **bearer(token)) == 200


async def test_tokens_of_one_process_reach_another(settings: Settings, pool: Pool) -> None:
    async with client_of(settings) as one, client_of(settings) as other:
        token = await make_token(pool, "first", "admin")
        made = (await one.post("/tokens", json={"name": "b", "scopes": ["read"]}, headers=bearer(token))).json()
        assert await status(other, **bearer(made["token"])) == 200
        deleted = await one.delete(f"/tokens/{made['id']}", headers=bearer(token))
        assert deleted.status_code == 204
        began = asyncio.get_running_loop().time()
        await eventually(lambda: status(other, **bearer(made["token"])), lambda found: found == 401)
        assert asyncio.get_running_loop().time() - began < 10  # 2 s on a machine that is not busy

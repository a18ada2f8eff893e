"""Failed authentications behind a trusted proxy count for the client's address, on the fast path and through ASGI."""

import asyncio

import httpx
import msgspec
import pytest

from faas.database.pool import Pool
from faas.settings import Settings
from tests.helpers.access import bearer, make_token
from tests.helpers.connections import Connection, Port, execute
from tests.helpers.support import eventually

PROXY = "127.0.0.9"  # an address that clients may connect from
UNKNOWN_TOKEN = f"faas_{'a' * 12}_{'b' * 32}"
GUESSES = 30  # more than an address may fail


@pytest.fixture
def port_settings(port_settings: Settings) -> Settings:
    return msgspec.structs.replace(port_settings, trusted_proxies=(PROXY,))


async def connect(port: Port, address: str) -> Connection:
    return Connection(*await asyncio.open_connection("127.0.0.1", port.number, local_addr=(address, 0)))


def authorized(token: str, forwarded: str, *, fast: bool = True) -> bytes:
    headers = (*(f"{name}: {value}" for name, value in bearer(token).items()), f"x-forwarded-for: {forwarded}")
    sent = execute("echo", '{"n":1}', *headers)
    return sent if fast else sent.replace(b"/execute ", b"/execute? ", 1)


@pytest.fixture
async def token(port: Port, pool: Pool) -> str:
    """A token that may do everything; from the first one on, the server asks for tokens."""
    made = await make_token(pool, "admin", "admin")

    async def status() -> int:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port.number}", trust_env=False) as http:
            return (await http.get("/functions")).status_code

    await eventually(status, lambda found: found == 401)
    return made.text


async def exhaust(connection: Connection, *, fast: bool) -> list[int]:
    """Guess tokens as a client of the proxy that makes up other addresses; return the statuses."""
    statuses = []
    for number in range(GUESSES):
        connection.send(authorized(UNKNOWN_TOKEN, f"9.9.9.{number}, 127.0.0.1, 203.0.113.7", fast=fast))
        statuses.append((await connection.answer())[0])
    return statuses


@pytest.mark.parametrize("fast", [True, False], ids=["fast path", "ASGI"])
async def test_client_behind_a_proxy_is_limited_without_the_others(port: Port, token: str, fast: bool) -> None:
    proxied = await connect(port, PROXY)
    assert await exhaust(proxied, fast=fast) == [401] * 20 + [429] * (GUESSES - 20)
    for forwarded, expected in (("203.0.113.7", 429), ("9.9.9.9, 203.0.113.7", 429), ("203.0.113.8", 200)):
        for _ in range(2):  # what was admitted once takes the fast path
            proxied.send(authorized(token, forwarded, fast=fast))
            assert (await proxied.answer())[0] == expected, forwarded
    await proxied.close()


async def test_client_that_is_no_proxy_cannot_choose_its_address(port: Port, token: str) -> None:
    direct = await connect(port, "127.0.0.10")
    assert await exhaust(direct, fast=True) == [401] * 20 + [429] * (GUESSES - 20)
    direct.send(authorized(token, "203.0.113.8"))
    assert (await direct.answer())[0] == 429
    other = await connect(port, "127.0.0.11")
    other.send(authorized(token, "203.0.113.7"))
    assert (await other.answer())[0] == 200
    await direct.close()
    await other.close()

"""The tokens in memory against those in the database: new, revoked, expired, and while the database is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from faas.access.authenticator import FRESH_SECONDS, OUTAGE_SECONDS, Authenticator, KnownToken
from faas.access.model import NewToken
from faas.access.service import TokenService
from faas.access.token_text import TokenText
from faas.caller import OPERATOR
from faas.database.pool import Pool, open_pool
from faas.errors import DatabaseUnavailable
from tests.helpers.access import make_token
from tests.helpers.clock import Clock
from tests.helpers.support import eventually


@pytest.fixture
async def own_pool(database_url: str) -> AsyncIterator[Pool]:
    async with open_pool(database_url, 1) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authenticator(own_pool: Pool, clock: Clock) -> Authenticator:
    return Authenticator(own_pool, clock)


def text_of(token: NewToken) -> TokenText:
    _, token_id, secret = token.text.split("_")
    return TokenText(token_id, secret.encode())


async def test_authenticator_knows_nothing_before_its_first_reading(authenticator: Authenticator, pool: Pool) -> None:
    token = await make_token(pool, "a", "read")
    assert authenticator.check(text_of(token)) == "unavailable"


async def test_authenticator_finds_a_token_that_was_made_just_now(authenticator: Authenticator, pool: Pool) -> None:
    await authenticator.read()
    assert not authenticator.any_token
    token = await make_token(pool, "a", "invoke", functions=("orders-*",), per_second=5.0)
    assert authenticator.check(text_of(token)) == "unknown"
    found = await authenticator.check_again(text_of(token))
    assert isinstance(found, KnownToken)
    assert found.caller.token_name == "a"
    assert found.caller.scopes == frozenset({"invoke"})
    assert found.caller.reaches("orders-1")
    assert not found.caller.reaches("billing")
    assert authenticator.any_token


async def test_authenticator_refuses_a_wrong_secret(authenticator: Authenticator, pool: Pool) -> None:
    text = text_of(await make_token(pool, "a", "read"))
    await authenticator.read()
    for secret in (b"a" * 32, text.secret[:-1] + b"2", text.secret[::-1]):
        if secret != text.secret:
            assert authenticator.check(TokenText(text.id, secret)) == "refused"


async def test_authenticator_waiting_requests_share_a_reading(
    authenticator: Authenticator, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await authenticator.read()
    readings = 0
    read = authenticator.read

    async def counted() -> None:
        nonlocal readings
        readings += 1
        await read()

    monkeypatch.setattr(authenticator, "read", counted)
    text = text_of(await make_token(pool, "a", "read"))
    found = await asyncio.gather(*(authenticator.check_again(text) for _ in range(50)))
    assert all(isinstance(one, KnownToken) for one in found)
    assert readings <= 2


async def test_authenticator_refuses_a_revoked_token_after_a_reading(authenticator: Authenticator, pool: Pool) -> None:
    token = await make_token(pool, "a", "read")
    await authenticator.read()
    await TokenService(pool).revoke(OPERATOR, token.token.id)
    await authenticator.read()
    assert await authenticator.check_again(text_of(token)) == "refused"
    assert authenticator.any_token
    assert not authenticator.any_admitted


async def test_authenticator_sees_changes_that_were_not_made_by_faas(authenticator: Authenticator, pool: Pool) -> None:
    token = await make_token(pool, "a", "read")
    await authenticator.read()
    await pool.execute("DELETE FROM tokens")
    await authenticator.read()
    assert authenticator.check(text_of(token)) == "unknown"
    assert not authenticator.any_token


async def test_authenticator_refuses_an_expired_token(authenticator: Authenticator, pool: Pool, clock: Clock) -> None:
    token = await make_token(pool, "a", "read", expires_in=30.0)
    await authenticator.read()
    assert isinstance(authenticator.check(text_of(token)), KnownToken)
    clock.now += 31
    assert authenticator.check(text_of(token)) == "refused"


async def test_authenticator_a_token_that_expires_is_not_read_again(authenticator: Authenticator, pool: Pool) -> None:
    token = await make_token(pool, "a", "read")
    await pool.execute("UPDATE tokens SET expires_at = clock_timestamp() - interval '1 second'")
    await authenticator.read()
    assert await authenticator.check_again(text_of(token)) == "refused"


async def test_authenticator_an_expiry_follows_the_clock_of_the_database(
    authenticator: Authenticator, pool: Pool, clock: Clock
) -> None:
    text = text_of(await make_token(pool, "a", "read", expires_in=3600.0))
    await authenticator.read()
    # As if an hour had gone by for the database, while this process was suspended.
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("ALTER TABLE tokens DISABLE TRIGGER change_is_counted")
        await connection.execute("UPDATE tokens SET expires_at = clock_timestamp()")
        await connection.execute("ALTER TABLE tokens ENABLE TRIGGER change_is_counted")
    await authenticator.read()
    assert isinstance(authenticator.check(text), KnownToken)
    clock.now += 60
    await authenticator.read()
    assert authenticator.check(text) == "unknown"


async def test_authenticator_without_the_database_known_tokens_go_on_for_a_minute(
    authenticator: Authenticator, own_pool: Pool, pool: Pool, clock: Clock
) -> None:
    known, unknown = await make_token(pool, "a", "read"), TokenText("a" * 12, b"b" * 32)
    await authenticator.read()
    own_pool.terminate()
    clock.now += FRESH_SECONDS + 1
    with pytest.raises((DatabaseUnavailable, asyncpg.InterfaceError)):
        await authenticator.read()
    assert not authenticator.fresh
    assert isinstance(authenticator.check(text_of(known)), KnownToken)
    assert await authenticator.check_again(unknown) == "unavailable"
    assert authenticator.check(TokenText(text_of(known).id, b"b" * 32)) == "refused"
    clock.now += OUTAGE_SECONDS
    assert authenticator.check(text_of(known)) == "unavailable"


async def test_authenticator_revokes_within_two_seconds_although_its_connection_is_lost(
    own_pool: Pool, pool: Pool
) -> None:
    authenticator = Authenticator(own_pool)
    await authenticator.read()
    running = asyncio.create_task(authenticator.run())
    token = await make_token(pool, "a", "read")
    assert isinstance(await authenticator.check_again(text_of(token)), KnownToken)
    own = await own_pool.fetchval("SELECT pg_backend_pid()")
    await TokenService(pool).revoke(OPERATOR, token.token.id)
    await pool.execute("SELECT pg_terminate_backend($1)", own)

    async def verdict() -> object:
        return authenticator.check(text_of(token))

    began = asyncio.get_running_loop().time()
    await eventually(verdict, lambda found: not isinstance(found, KnownToken))
    assert asyncio.get_running_loop().time() - began < FRESH_SECONDS * 5  # 2 s on a machine that is not busy
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Proxy:
    """A proxy in front of a Postgres. `lose_connections` makes those that are open dead, without a sign of it."""

    def __init__(self, database_url: str) -> None:
        self._database = urlsplit(database_url)
        self._tasks: list[asyncio.Task[None]] = []
        self._passing = asyncio.Event()
        self.url = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Serve at `url`."""
        self._passing.set()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        number = server.sockets[0].getsockname()[1]
        self.url = f"postgresql://{self._database.username}@127.0.0.1:{number}{self._database.path}?sslmode=disable"
        try:
            yield
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def lose_connections(self) -> None:
        """Pass nothing more on the open connections. New ones work."""
        self._passing.clear()
        self._passing = asyncio.Event()
        self._passing.set()

    async def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        parts = self._database
        host, port = parts.hostname or parse_qs(parts.query)["host"][0], parts.port or 5432
        if host.startswith("/"):
            server, to_server = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            server, to_server = await asyncio.open_connection(host, port)
        for source, sink in ((client, to_server), (server, to_client)):
            self._tasks.append(asyncio.create_task(self._pass(source, sink, self._passing)))

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, passing: asyncio.Event) -> None:
        try:
            while data := await source.read(65536):
                await passing.wait()
                sink.write(data)
        finally:
            sink.transport.abort()


async def test_authenticator_revokes_within_two_seconds_although_its_connection_does_not_answer(
    database_url: str, pool: Pool
) -> None:
    proxy = Proxy(database_url)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(proxy.serve())
        authenticator = Authenticator(await stack.enter_async_context(open_pool(proxy.url, 1)))
        token = await make_token(pool, "a", "read")
        await authenticator.read()
        running = asyncio.create_task(authenticator.run())
        proxy.lose_connections()
        await TokenService(pool).revoke(OPERATOR, token.token.id)

        async def verdict() -> object:
            return authenticator.check(text_of(token))

        began = asyncio.get_running_loop().time()
        await eventually(verdict, lambda found: not isinstance(found, KnownToken))
        # 1.6 s on a machine that is not busy; asyncpg would wait 10 s for the answer to a cancelled statement.
        assert asyncio.get_running_loop().time() - began < 8
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_authenticator_records_last_uses_together(own_pool: Pool, pool: Pool) -> None:
    tokens = [await make_token(pool, name, "read") for name in "abc"]
    authenticator = Authenticator(own_pool)
    await authenticator.read()
    before = await pool.fetchval("SELECT number FROM token_changes")
    running = asyncio.create_task(authenticator.run())
    await asyncio.sleep(0)
    for token in tokens[:2]:
        for _ in range(1000):
            assert isinstance(authenticator.check(text_of(token)), KnownToken)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    used = await pool.fetch("SELECT name FROM tokens WHERE last_used_at IS NOT NULL ORDER BY name")
    assert [row["name"] for row in used] == ["a", "b"]
    assert await pool.fetchval("SELECT number FROM token_changes") == before


async def test_authenticator_a_rate_survives_a_reading(authenticator: Authenticator, pool: Pool) -> None:
    token = await make_token(pool, "a", "read", per_second=1.0)
    await authenticator.read()
    first = authenticator.check(text_of(token))
    assert isinstance(first, KnownToken)
    assert first.rate
    assert first.rate.take(1000.0) == 0
    await make_token(pool, "b", "read")
    await authenticator.read()
    second = authenticator.check(text_of(token))
    assert isinstance(second, KnownToken)
    assert second.rate
    assert second.rate.take(1000.0) > 0

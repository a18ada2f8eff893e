"""Sessions: what is sent while connecting, what poolers do to them, and what the defaults of a role change."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import httpx
import pytest

from faas.bootstrap import open_service
from faas.bootstrap.database import open_database
from faas.database.pool import Connection, open_pool
from faas.database.session import connect
from faas.doctor.database import inspect
from faas.errors import ConfigurationError
from faas.settings import Settings
from tests.helpers.pgbouncer import PROGRAM, pgbouncer
from tests.helpers.support import Platform, core_wat, eventually, replaced_database

needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="the program pgbouncer is not installed")

ECHO = core_wat("(i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))")
# Characters that differ between encodings and between the rules for literals.
DOCUMENT = {"n": "€ 'quoted' \\ back\\\\slash \U0001f600"}


def settings_of(url: str, folder: Path) -> Settings:
    return Settings(
        database_url=url, data_dir=folder, role="all", languages=("wat", "wasm"), database_pool=4, poll_interval=60
    )


async def serve_once(settings: Settings) -> None:
    """Start a service, deploy a function, which needs the queues, and execute it."""
    async with (
        open_service(settings) as service,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(service.application),  # type: ignore[arg-type]
            base_url="http://localhost",
        ) as http,
        open_pool(service.database_url, 1) as pool,
    ):
        assert (await eventually(lambda: http.get("/health"), lambda answer: answer.status_code == 200)).json()
        platform = Platform(http, pool)
        await platform.deploy("echo", ECHO)
        execution = await platform.execute("echo", DOCUMENT)
        assert (execution["status"], execution["output"]) == ("COMPLETED", DOCUMENT), execution
        record = (await http.get(f"/executions/{execution['id']}")).json()
        assert record["input"] == DOCUMENT


async def refusal(url: str, folder: Path) -> str:
    """Return the one reason for which a start and `faas doctor` refuse the database."""
    settings = settings_of(url, folder)
    with pytest.raises(ConfigurationError) as refused:
        async with open_database(settings):
            pass
    said = str(refused.value)
    findings = [finding for finding in await inspect(url, "the database", settings) if finding.status == "FAIL"]
    assert len(findings) == 1
    essence = findings[0].finding.removeprefix("cannot connect to the database: ")
    assert essence in said
    assert findings[0].action
    return said


# -- while connecting --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def recording_relay(url: str) -> AsyncIterator[tuple[str, list[dict[str, str]]]]:
    """Relay to the Postgres of `url`. Yields the relay's URL and the parameters of each startup packet."""
    parts = urlsplit(url)
    packets: list[dict[str, str]] = []

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                target.write(data)
        except OSError:
            pass
        finally:
            target.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!ii", head)
        body = await reader.readexactly(length - 8)
        if code == 3 << 16:
            words = body.decode().split("\0")
            packets.append(dict(zip(words[:-2:2], words[1:-2:2], strict=True)))
        if parts.hostname:
            server = await asyncio.open_connection(parts.hostname, parts.port or 5432)
        else:
            folder = parse_qs(parts.query)["host"][0]
            server = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        server[1].write(head + body)
        await asyncio.gather(copy(reader, server[1]), copy(server[0], writer))

    listening = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    password = f":{parts.password}" if parts.password else ""
    try:
        yield f"postgresql://{parts.username}{password}@127.0.0.1:{port}{parts.path}?sslmode=disable", packets
    finally:
        listening.close()


async def test_session_settings_are_not_startup_parameters(empty_database: str, tmp_path: Path) -> None:
    options = quote("-c statement_timeout=7s --work-mem=5MB")
    async with recording_relay(empty_database) as (address, packets):
        url = f"{address}&options={options}&connect_timeout=10&keepalives=1&target_session_attrs=read-write"
        await serve_once(settings_of(url, tmp_path))
        assert {finding.status for finding in await inspect(url, "here", settings_of(url, tmp_path))} == {"OK"}
    assert {packet["application_name"] for packet in packets} == {"faas", "faas listener", "faas doctor"}
    for packet in packets:
        # The parameters that PgBouncer accepts by default are these and a few that asyncpg does not send.
        assert set(packet) == {"user", "database", "client_encoding", "application_name"}


@needs_pgbouncer
async def test_session_settings_behind_a_pooler_in_session_mode(database_url: str, tmp_path: Path) -> None:
    async with pgbouncer(database_url, "session") as url:
        await serve_once(settings_of(url, tmp_path))
        assert {finding.status for finding in await inspect(url, "here", settings_of(url, tmp_path))} == {"OK"}


@needs_pgbouncer
@pytest.mark.parametrize(("mode", "size"), [("transaction", 20), ("transaction", 1), ("statement", 20)])
async def test_session_settings_behind_a_pooler_that_does_not_keep_sessions_are_refused(
    database_url: str, tmp_path: Path, mode: str, size: int
) -> None:
    async with pgbouncer(database_url, mode, size) as url:
        before = await left_in_the_server_process(url)
        said = await refusal(url, tmp_path)
        assert "pool_mode = session" in said
        assert "URL of Postgres itself" in said
        # Nothing was set that other clients of the pooler would get.
        assert await left_in_the_server_process(url) == before


@needs_pgbouncer
async def test_session_settings_behind_a_busy_pooler_in_transaction_mode_are_refused(
    database_url: str, tmp_path: Path
) -> None:
    async with pgbouncer(database_url, "transaction") as url:
        others = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(4)]

        async def work(connection: Connection) -> None:
            while True:
                await connection.execute("SELECT pg_sleep(0.002)")

        tasks = [asyncio.create_task(work(other)) for other in others]
        for _ in range(5):
            assert "pool_mode = session" in await refusal(url, tmp_path)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for other in others:
            other.terminate()


async def left_in_the_server_process(url: str) -> list[tuple[str, str]]:
    connection = await asyncpg.connect(url, statement_cache_size=0)
    names = "'TimeZone', 'statement_timeout', 'jit', 'plan_cache_mode', 'synchronous_commit'"
    rows = await connection.fetch(f"SELECT name, setting FROM pg_settings WHERE name IN ({names}) ORDER BY name")
    await connection.close()
    return [(row["name"], row["setting"]) for row in rows]


async def test_session_settings_of_the_url_are_honoured(database_url: str) -> None:
    options = quote(r"-c search_path=pgmq,public -cwork_mem=5MB --statement-timeout=7s -c application.note=a\ b\'\\c")
    async with open_pool(f"{database_url}&options={options}&application_name=orders%20%2B", 1) as pool:
        for name, value in {
            "search_path": "pgmq,public",
            "work_mem": "5MB",
            "statement_timeout": "7s",
            "application.note": r"a b'\c",
            "application_name": "orders +",
            "jit": "off",
        }.items():
            assert await pool.fetchval("SELECT current_setting($1)", name) == value
        assert await pool.fetchval("SELECT current_schemas(false)::text[]") == ["pgmq", "public"]


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("-c no_such_setting=1", 'unrecognized configuration parameter "no_such_setting"'),
        ("-c statement_timeout=soon", 'invalid value for parameter "statement_timeout": "soon"'),
        ("-c ignore_system_indexes=on", '"ignore_system_indexes" cannot be set after connection start'),
    ],
)
async def test_session_settings_of_the_url_that_postgres_refuses(
    database_url: str, tmp_path: Path, option: str, reason: str
) -> None:
    assert reason in await refusal(f"{database_url}&options={quote(option)}", tmp_path)


# -- the defaults of roles and databases -------------------------------------------------------------------------------


@asynccontextmanager
async def own_role(server_url: str, settings: dict[str, str], database: str = "") -> AsyncIterator[str]:
    """A role with `settings` as its defaults that owns an empty database. `database` is its options."""
    name = f"role_{uuid4().hex}"
    admin = await asyncpg.connect(replaced_database(server_url, "postgres"))
    await admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    await admin.execute(f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0 {database}")
    for setting, value in settings.items():
        await admin.execute(f"ALTER ROLE {name} SET {setting} = {value}")
    parts = urlsplit(replaced_database(server_url, name))
    try:
        yield urlunsplit(parts._replace(netloc=f"{name}:secret@{parts.netloc.rpartition('@')[2]}"))
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.execute(f"DROP ROLE {name}")
        await admin.close()


@pytest.mark.parametrize(
    "defaults",
    [
        {"standard_conforming_strings": "off", "transform_null_equals": "on", "array_nulls": "off"},
        {
            "bytea_output": "escape",
            "DateStyle": "'German, DMY'",
            "IntervalStyle": "sql_standard",
            "TimeZone": "'Asia/Kathmandu'",
            "extra_float_digits": "-15",
            "client_encoding": "'LATIN1'",
        },
        {
            "default_transaction_isolation": "serializable",
            "default_transaction_deferrable": "on",
            "row_security": "off",
        },
        {"statement_timeout": "1", "lock_timeout": "1", "idle_in_transaction_session_timeout": "1"},
        {"idle_session_timeout": "200", "synchronous_commit": "off", "jit": "on", "search_path": "faas, public"},
    ],
    ids=lambda defaults: next(iter(defaults)),
)
async def test_session_settings_of_a_role_do_not_matter(
    server_url: str, tmp_path: Path, defaults: dict[str, str]
) -> None:
    own_schema = "search_path" in defaults
    async with own_role(server_url, defaults) as url:
        ordinary = await connect(replaced_database(server_url, "postgres"), "faas")
        connection = await connect(url, "faas")
        if own_schema:
            await connection.execute("CREATE SCHEMA faas")
        for name in set(defaults) - {"row_security", "search_path"}:
            found = await connection.fetchval("SELECT current_setting($1)", name)
            assert found == await ordinary.fetchval("SELECT current_setting($1)", name), name
        await connection.close()
        await ordinary.close()
        await serve_once(settings_of(url, tmp_path))
        findings = await inspect(url, "here", settings_of(url, tmp_path))
        assert {finding.status for finding in findings} == {"OK"}, findings


async def test_session_settings_keep_a_durable_synchronous_commit(server_url: str) -> None:
    async with own_role(server_url, {"synchronous_commit": "remote_apply"}) as url:
        connection = await connect(url, "faas")
        assert await connection.fetchval("SHOW synchronous_commit") == "remote_apply"
        await connection.close()


@pytest.mark.parametrize(
    ("defaults", "database", "reason"),
    [
        ({}, "ENCODING 'LATIN1' LOCALE 'C'", "LATIN1: it cannot hold every text of JSON"),
        ({}, "ENCODING 'SQL_ASCII' LOCALE 'C'", "SQL_ASCII: it cannot hold every text of JSON"),
        ({"default_transaction_read_only": "on"}, "", "it is read-only (default_transaction_read_only)"),
        ({"search_path": "missing"}, "", "has no schema that exists"),
        ({"search_path": "pg_temp"}, "", "begins with the temporary schema"),
    ],
    ids=["latin1", "sql_ascii", "read_only", "schema", "temporary_schema"],
)
async def test_session_settings_that_faas_cannot_work_with_are_refused(
    server_url: str, tmp_path: Path, defaults: dict[str, str], database: str, reason: str
) -> None:
    async with own_role(server_url, defaults, database) as url:
        assert reason in await refusal(url, tmp_path)
        connection = await asyncpg.connect(url)  # nothing was written
        assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relname = 'schema_migrations'") == 0
        await connection.close()

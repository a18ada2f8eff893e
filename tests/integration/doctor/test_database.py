"""The database's checks on real ones: what is wrong is made so."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from faas.database.migrations import files, migrate
from faas.database.postgres.server import EmbeddedPostgres
from faas.doctor import Finding, database
from faas.doctor.database import inspect
from faas.doctor.database_facts import CLOCK_DIFFERENCE_SECONDS, Facts, judge, read_facts
from faas.settings import Settings
from tests.helpers.postgres import ordinary_postgres
from tests.helpers.support import eventually, free_port, replaced_database

PASSWORD = "s3cret"


async def look(url: str, settings: Settings | None = None) -> dict[str, Finding]:
    findings = await inspect(url, "here", settings or Settings(database_url=url, database_pool=1))
    assert all(bool(finding.action) == (finding.status != "OK") for finding in findings)
    return {finding.check: finding for finding in findings}


async def run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def facts_of(url: str) -> Facts:
    connection = await asyncpg.connect(url)
    async with connection.transaction(readonly=True):
        facts = await read_facts(connection)
    await connection.close()
    return facts


@pytest.fixture
async def role(empty_database: str, server_url: str) -> AsyncIterator[tuple[str, str]]:
    """A role without privileges, and the URL of the empty database for it."""
    name = f"role_{uuid4().hex}"
    await run(server_url_of_admin(server_url), f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    parts = urlsplit(empty_database)
    address = parts.netloc.rpartition("@")[2]
    yield name, urlunsplit(parts._replace(netloc=f"{name}:{PASSWORD}@{address}"))
    await run(empty_database, f"DROP OWNED BY {name}")
    await run(server_url_of_admin(server_url), f"DROP ROLE {name}")


def server_url_of_admin(server_url: str) -> str:
    return replaced_database(server_url, "postgres")


# -- what is fine ------------------------------------------------------------------------------------------------------


async def test_migrated_database_is_ok(database_url: str) -> None:
    found = await look(database_url)
    assert {check: finding.status for check, finding in found.items()} == dict.fromkeys(
        ["postgres", "encoding", "pgmq", "privileges-in-database", "migrations", "connections", "database-clock"], "OK"
    )
    assert found["migrations"].finding == f"up to date at {files()[-1].stem}"


async def test_empty_database_is_ok_and_stays_empty(empty_database: str) -> None:
    found = await look(empty_database)
    assert {finding.status for finding in found.values()} == {"OK"}
    assert f"applies {len(files())}" in found["migrations"].finding
    connection = await asyncpg.connect(empty_database)
    left = await connection.fetchval(
        "SELECT count(*) FROM pg_class WHERE relnamespace NOT IN (SELECT oid FROM pg_namespace "
        "WHERE nspname LIKE 'pg\\_%' OR nspname = 'information_schema')"
    )
    await connection.close()
    assert left == 0


# -- no connection -----------------------------------------------------------------------------------------------------


async def test_database_that_is_missing_fails(server_url: str) -> None:
    found = (await look(replaced_database(server_url, "no_such_database")))["postgres"]
    assert found.status == "FAIL"
    assert '"no_such_database" does not exist' in found.finding
    assert "create the database" in found.action


async def test_port_without_a_server_fails() -> None:
    found = (await look(f"postgresql://app:{PASSWORD}@127.0.0.1:{free_port()}/faas"))["postgres"]
    assert (found.status, found.finding) == ("FAIL", "cannot connect to here: Connection refused")
    assert "see whether Postgres runs" in found.action


async def test_host_that_does_not_exist_fails() -> None:
    found = (await look(f"postgresql://app:{PASSWORD}@no-such-host.invalid/faas"))["postgres"]
    assert found.status == "FAIL"
    assert PASSWORD not in str(found)


async def test_server_that_does_not_answer_fails_in_time() -> None:
    async def keep(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(writer)

    connected: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    began = time.monotonic()
    found = (await look(f"postgresql://app@127.0.0.1:{server.sockets[0].getsockname()[1]}/faas"))["postgres"]
    assert time.monotonic() - began < 5
    assert connected
    assert (found.status, found.finding) == ("FAIL", "cannot connect to here: no answer within 3 s")
    server.close()
    for writer in connected:
        writer.close()
    await server.wait_closed()


@pytest.mark.parametrize("url", [f"postgresql://app:x#{PASSWORD}@db/faas", f"mysql://app:{PASSWORD}@db/faas"])
def test_url_that_is_malformed_fails_without_its_password(url: str) -> None:
    (found,) = database.check(Settings(database_url=url))
    assert found.status == "FAIL"
    assert "malformed" in found.finding
    assert PASSWORD not in str(found)


async def refused(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url)
    except asyncpg.InvalidPasswordError:
        return True
    await connection.close()
    return False


async def test_password_that_is_wrong_fails_and_is_not_shown() -> None:
    async with ordinary_postgres() as postgres:
        await run(postgres.url, f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
        connection = await asyncpg.connect(postgres.url)
        hba = Path(await connection.fetchval("SHOW hba_file"))
        hba.write_text(hba.read_text().replace("trust", "scram-sha-256"))
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()
        url = postgres.url.replace("postgres@", f"app:{PASSWORD}-wrong@")
        await eventually(lambda: refused(url))  # the postmaster reads its files when the signal arrives
        found = list(await asyncio.to_thread(lambda: list(database.check(Settings(database_url=url)))))
        assert [finding.status for finding in found] == ["FAIL"]
        assert "password authentication failed" in found[0].finding
        assert f"app@127.0.0.1:{urlsplit(url).port}/faas" in found[0].finding
        assert "correct the user and the password" in found[0].action
        assert PASSWORD not in str(found)


async def test_encryption_that_the_server_refuses_fails() -> None:
    async with ordinary_postgres() as postgres:
        found = (await look(f"{postgres.url}?sslmode=require"))["postgres"]
    assert found.status == "FAIL"
    assert "rejected SSL upgrade" in found.finding
    assert "sslmode" in found.action


# -- a database that is not as it should be ----------------------------------------------------------------------------


async def test_encoding_latin1_fails(server_url: str) -> None:
    name = f"latin1_{uuid4().hex}"
    admin = server_url_of_admin(server_url)
    await run(admin, f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    found = (await look(replaced_database(server_url, name)))["encoding"]
    await run(admin, f"DROP DATABASE {name} WITH (FORCE)")
    assert found.status == "FAIL"
    assert found.finding.startswith("LATIN1")
    assert name in found.action


async def test_read_only_database_fails(empty_database: str) -> None:
    name = urlsplit(empty_database).path.removeprefix("/")
    await run(empty_database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    found = (await look(empty_database))["postgres"]
    assert found.status == "FAIL"
    assert "read-only" in found.finding


async def test_server_older_than_needed_fails(database_url: str) -> None:
    facts = await facts_of(database_url)
    old = msgspec.structs.replace(facts, server=msgspec.structs.replace(facts.server, major=13, version="13.9"))
    found = next(iter(judge(old, "here", Settings())))
    assert (found.status, found.finding) == ("FAIL", "here: 13.9; faas needs 14 or newer")


async def test_pgmq_without_headers_fails(empty_database: str) -> None:
    await run(
        empty_database,
        "CREATE SCHEMA pgmq",
        "CREATE TABLE pgmq.meta (queue_name text)",
        "CREATE FUNCTION pgmq.send(queue_name text, msg jsonb) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
    )
    found = (await look(empty_database))["pgmq"]
    assert found.status == "FAIL"
    assert "headers" in found.finding


async def test_privileges_that_are_asked_for_are_what_migrations_need(
    role: tuple[str, str], empty_database: str
) -> None:
    name, url = role
    database_name = urlsplit(empty_database).path.removeprefix("/")
    await run(
        empty_database,
        f"REVOKE ALL ON DATABASE {database_name} FROM PUBLIC",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    await run(empty_database, f"GRANT CONNECT ON DATABASE {database_name} TO {name}")
    found = (await look(url))["privileges-in-database"]
    assert found.status == "FAIL"
    assert "create tables in the schema public, create the schema pgmq" in found.finding
    # What the action says, each with its TO, is enough.
    grants = found.action.removeprefix("as an administrator: ").split("; ")
    assert len(grants) == 2
    await run(empty_database, *grants)
    assert (await look(url))["privileges-in-database"].status == "OK"
    connection = await asyncpg.connect(url)
    assert len(await migrate(connection)) == len(files())
    await connection.close()
    assert {finding.status for finding in (await look(url)).values()} == {"OK"}


async def test_privileges_on_tables_of_another_role(role: tuple[str, str], empty_database: str) -> None:
    name, url = role
    connection = await asyncpg.connect(empty_database)
    await migrate(connection)
    await connection.close()
    await run(empty_database, f"GRANT CREATE ON SCHEMA public TO {name}")
    found = await look(url)
    assert found["migrations"].status == "FAIL"
    assert "GRANT SELECT ON schema_migrations" in found["migrations"].action
    privileges = found["privileges-in-database"]
    assert privileges.status == "FAIL"
    assert "use the schema pgmq" in privileges.finding
    tables = "audit, deleted_functions, executions, functions, modules, processes, retention_marks, revisions"
    assert (
        f"read and write {tables}, schema_migrations, secrets, token_changes, tokens, unreferenced_modules"
        in privileges.finding
    )
    await run(empty_database, *privileges.action.removeprefix("as an administrator: ").split("; "))
    found = await look(url)
    assert found["privileges-in-database"].status == found["migrations"].status == "OK"
    await run(
        empty_database, "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)"
    )
    found = await look(url)
    assert found["migrations"].status == "WARN"
    assert f"does not own {tables}, schema_migrations" in found["privileges-in-database"].finding


async def test_migrations_that_are_pending_warn(database_url: str) -> None:
    last = files()[-1].stem
    await run(database_url, f"DELETE FROM schema_migrations WHERE name = '{last}'")
    found = (await look(database_url))["migrations"]
    assert (found.status, found.finding) == ("WARN", f"1 pending: {last}")
    assert "faas backup" in found.action


async def test_migrations_of_a_newer_faas_fail(database_url: str) -> None:
    await run(database_url, "INSERT INTO schema_migrations (version, name, sha256) VALUES (9999, '9999_later', '')")
    found = (await look(database_url))["migrations"]
    assert found.status == "FAIL"
    assert "9999_later" in found.finding


async def test_migration_that_was_changed_fails(database_url: str) -> None:
    await run(database_url, "UPDATE schema_migrations SET sha256 = 'other' WHERE version = 1")
    found = (await look(database_url))["migrations"]
    assert found.status == "FAIL"
    assert files()[0].stem in found.finding


async def test_migrations_that_are_locked_fail_in_time_and_leave_no_session(database_url: str) -> None:
    connection, observer = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute("LOCK TABLE schema_migrations IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        found = await look(database_url)
        assert time.monotonic() - began < 5
        assert found["postgres"].status == "FAIL"
        assert "cannot be examined: canceling statement due to statement timeout" in found["postgres"].finding

        async def sessions() -> int:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'faas doctor' AND datname = current_database()"
            return int(await observer.fetchval(query))

        await eventually(sessions, lambda count: count == 0)
    await connection.close()
    await observer.close()


async def test_connections_too_few_warn(database_url: str) -> None:
    found = (await look(database_url, Settings(database_url=database_url, database_pool=100_000)))["connections"]
    assert found.status == "WARN"
    assert "faas takes up to 100008" in found.finding
    compiler = Settings(role="compiler", database_url=database_url, database_pool=100_000)
    assert "faas takes up to 100004" in (await look(database_url, compiler))["connections"].finding


@pytest.mark.parametrize(("seconds", "status"), [(-70, "WARN"), (-50, "OK"), (50, "OK"), (70, "WARN")])
async def test_database_clock_difference(database_url: str, seconds: int, status: str) -> None:
    facts = await facts_of(database_url)
    assert abs(seconds) // 10 * 10 != CLOCK_DIFFERENCE_SECONDS
    apart = msgspec.structs.replace(facts, asked_at=facts.asked_at - seconds)
    (found,) = [f for f in judge(apart, "here", Settings()) if f.check == "database-clock"]
    assert found.status == status
    if status == "WARN":
        assert ("ahead of" if seconds > 0 else "behind") in found.finding


# -- the embedded one --------------------------------------------------------------------------------------------------


def embedded(data_dir: Path) -> dict[str, Finding]:
    return {finding.check: finding for finding in database.check(Settings(data_dir=data_dir))}


def test_embedded_postgres_that_was_never_started(tmp_path: Path) -> None:
    found = embedded(tmp_path / "data")
    assert set(found) == {"postgres", "pgmq"}
    assert found["postgres"].status == "OK"
    assert "not running; its data directory is made by the first start" in found["postgres"].finding
    assert not (tmp_path / "data").exists()


def test_embedded_postgres_of_another_version_fails(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("17\n")
    found = embedded(tmp_path)["postgres"]
    assert found.status == "FAIL"
    assert "was written by Postgres 17" in found.finding
    assert "faas restore" in found.action


def test_embedded_postgres_in_a_folder_of_other_files_fails(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "photo.jpg").touch()
    assert embedded(tmp_path)["postgres"].status == "FAIL"


def test_embedded_postgres_binaries_that_do_not_start_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "postgres").write_text("#!/bin/sh\necho 'libpq.so.5: no version information' >&2\nexit 127\n")
    (tmp_path / "postgres").chmod(0o755)
    monkeypatch.setattr(database, "packaged_binaries", lambda: tmp_path)
    found = embedded(tmp_path / "data")["postgres"]
    assert found.status == "FAIL"
    assert "exit code 127: libpq.so.5" in found.finding


async def test_embedded_postgres_that_runs_is_examined_and_left_running(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    server = EmbeddedPostgres(tmp_path)
    await server.start()
    try:
        found = await asyncio.to_thread(embedded, tmp_path)
        assert server.running
        assert found["postgres"].status == "FAIL"  # it runs, and the database of faas was not made yet
        admin = await asyncpg.connect(server.url, database="postgres")
        await admin.execute("CREATE DATABASE faas")
        await admin.close()
        found = await asyncio.to_thread(embedded, tmp_path)
        assert {finding.status for finding in found.values()} == {"OK"}
        assert "embedded, running in" in found["postgres"].finding
        assert "database-clock" in found
    finally:
        await server.stop()


def test_role_compiler_without_a_database_fails() -> None:
    (found,) = database.check(Settings(role="compiler"))
    assert found.status == "FAIL"
    assert "FAAS_DATABASE_URL" in found.action

"""The migrations: concurrent processes, a newer database, an edited migration, both sources of pgmq."""

import asyncio
import shutil
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from faas.database import migrations
from faas.database.migrations import files, migrate
from faas.database.postgres.server import EmbeddedPostgres
from faas.errors import ConfigurationError


def test_migrations_are_numbered_without_gaps() -> None:
    assert [int(file.name[:4]) for file in files()] == list(range(1, len(files()) + 1))


async def test_migrations_concurrent_processes_apply_each_once(empty_database: str) -> None:
    connections = [await asyncpg.connect(empty_database) for _ in range(4)]
    applied = await asyncio.gather(*(migrate(connection) for connection in connections))
    assert sorted(applied) == [[], [], [], [file.stem for file in files()]]
    assert await connections[0].fetchval("SELECT count(*) FROM schema_migrations") == len(files())
    for connection in connections:
        await connection.close()


async def test_migrations_newer_database_is_refused(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    await migrate(connection)
    await connection.execute("INSERT INTO schema_migrations VALUES (9999, '9999_future', 'x')")
    with pytest.raises(ConfigurationError, match="9999_future, newer than this faas knows"):
        await migrate(connection)
    await connection.close()


async def test_migrations_edited_migration_is_refused(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    await migrate(connection)
    await connection.execute("UPDATE schema_migrations SET sha256 = 'other' WHERE version = 1")
    with pytest.raises(ConfigurationError, match="0001_functions was changed after"):
        await migrate(connection)
    await connection.close()


async def test_migrations_failure_rolls_back_all(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "0004_broken.sql"
    broken.write_text("CREATE TABLE half (); SELECT nonsense;")
    monkeypatch.setattr(migrations, "files", lambda: [*files(), broken])
    connection = await asyncpg.connect(empty_database)
    with pytest.raises(asyncpg.UndefinedColumnError):
        await migrate(connection)
    assert await connection.fetchval("SELECT to_regclass('functions')") is None
    await connection.close()


async def test_migrations_install_pgmq_from_its_package(empty_database: str) -> None:
    connection = await asyncpg.connect(empty_database)
    await migrate(connection)
    assert await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'pgmq'") == 0
    queues = await connection.fetch("SELECT queue_name FROM pgmq.list_queues() ORDER BY 1")
    assert [row["queue_name"] for row in queues] == ["compilation_jobs", "compilation_results"]
    await connection.close()


async def test_migrations_install_pgmq_as_available_extension(tmp_path: Path) -> None:
    """The server offers an extension pgmq, made of the same SQL."""
    share = Path("/tmp") / f"faas-extension-{uuid4().hex}"
    folder = share / "extension"
    folder.mkdir(parents=True)
    spec = find_spec("pgmq")
    assert spec
    assert spec.submodule_search_locations
    sql = (Path(spec.submodule_search_locations[0]) / "sql" / "pgmq.sql").read_text()
    (folder / "pgmq--1.0.sql").write_text(sql)
    (folder / "pgmq.control").write_text("default_version = '1.0'\nrelocatable = false\nschema = 'pgmq'\n")
    server = EmbeddedPostgres(tmp_path / "data")
    await server.start()
    try:
        admin = await asyncpg.connect(server.url, database="postgres")
        await admin.execute(f"ALTER DATABASE postgres SET extension_control_path = '$system:{share}'")
        await admin.close()
        connection = await asyncpg.connect(server.url, database="postgres")
        await migrate(connection)
        assert await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'pgmq'") == 1
        assert await connection.fetchval("SELECT pgmq.send('compilation_jobs', '{}')") == 1
        await connection.close()
    finally:
        await server.stop()
        shutil.rmtree(share)

"""Backup and restore: every table, in one snapshot, in one transaction."""

import asyncio
import io
import json
import re
import struct
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest

from faas.backup.archive import ArchiveReader
from faas.backup.backup import back_up
from faas.backup.manifest import TABLES, Manifest
from faas.backup.restore import RestoreResult, restore
from faas.database import migrations
from faas.database.migrations import files, migrate
from faas.database.pool import Pool
from faas.errors import ConfigurationError
from tests.helpers.engine_versions import installation, versions_in
from tests.helpers.retention import create_old_partitions, insert_executions
from tests.helpers.support import Platform, core_wat, eventually, replaced_database, returning_wat

# Tables that a backup omits, with the reason.
LEFT_OUT = {
    "processes": "none of them lives in the restored database",
    "schema_migrations": "in the manifest",
    "token_changes": "made by the migrations; the restored tokens count as a change",
    "unreferenced_modules": "found again by the next cleanup",
    "pgmq.meta": "made by the migrations, with the queues",
    "pgmq.notify_insert_throttle": "not used: notify_consumers replaces it",
    "pgmq.topic_bindings": "not used",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.zip"


async def backed_up(url: str, file: Path) -> Manifest:
    connection = await asyncpg.connect(url)
    try:
        with file.open("wb") as stream:
            return await back_up(connection, stream)
    finally:
        await connection.close()


async def restored(url: str, file: Path) -> RestoreResult:
    connection = await asyncpg.connect(url)
    try:
        with ArchiveReader(file) as archive:
            archive.verify()
            return await restore(connection, archive)
    finally:
        await connection.close()


async def contents(url: str) -> dict[str, list[str]]:
    """Return all rows of all tables of a backup, as text."""
    connection = await asyncpg.connect(url)
    try:
        return {
            name: [row[0] for row in await connection.fetch(f"SELECT t::text FROM {name} AS t ORDER BY 1")]
            for name in TABLES
        }
    finally:
        await connection.close()


def changed(file: Path, manifest: dict[str, object]) -> None:
    """Copy an archive with changes of its manifest."""
    with zipfile.ZipFile(file) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    entries["manifest.json"] = json.dumps(json.loads(entries["manifest.json"]) | manifest).encode()
    with zipfile.ZipFile(file, "w") as new:
        for name, content in entries.items():
            new.writestr(name, content)


async def test_backup_holds_every_table_or_omits_it_explicitly(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    found = await connection.fetch(
        "SELECT CASE schemaname WHEN 'public' THEN tablename ELSE schemaname || '.' || tablename END AS name "
        "FROM pg_tables JOIN pg_class ON pg_class.oid = format('%I.%I', schemaname, tablename)::regclass "
        "WHERE schemaname IN ('public', 'pgmq') AND NOT relispartition"
    )
    await connection.close()
    assert {row["name"] for row in found} == set(TABLES) | set(LEFT_OUT)


async def test_restore_returns_all_rows_and_continues_ids(
    platform: Platform, database_url: str, empty_database: str, file: Path
) -> None:
    await platform.deploy("echo", core_wat())
    for number in range(20):
        await platform.execute("echo", {"n": number, "big": 10**30, "text": "\x00é\U0001f600" + "x" * 5000})
    await platform.register("broken", "(module")
    await platform.settled("broken")
    manifest = await backed_up(database_url, file)
    assert (manifest.rows("functions"), manifest.rows("executions")) == (2, 20)
    outcome = await restored(empty_database, file)
    assert outcome == RestoreResult(interrupted=0, migrated=[])
    assert await contents(empty_database) == await contents(database_url)

    sent = []
    for url in (database_url, empty_database):
        connection = await asyncpg.connect(url)
        sent.append(await connection.fetchval("SELECT pgmq.send('compilation_jobs', '{}')"))
        await connection.execute("SELECT pgmq.archive('compilation_jobs', $1::bigint)", sent[-1])
        await connection.close()
    assert sent[0] == sent[1] > 2


async def test_restore_returns_executions_of_every_partition(
    platform: Platform, pool: Pool, database_url: str, empty_database: str, file: Path
) -> None:
    """Executions that are older than the restored database, of the future, and of a deleted function."""
    function = await platform.deploy("echo", core_wat())
    gone = await platform.deploy("gone", core_wat())
    await create_old_partitions(pool, 5)
    ages = [timedelta(days=days) for days in (0, 1, 2, 4, 300, -40)]
    await insert_executions(pool, UUID(function["id"]), ages)
    await insert_executions(pool, UUID(gone["id"]), ages)
    await platform.http.delete("/functions/gone")
    await pool.execute(
        "UPDATE executions SET input = NULL, output = NULL, logs = NULL, payloads_expired = true "
        "WHERE created_at < now() - interval '3 days'"
    )
    manifest = await backed_up(database_url, file)
    assert (manifest.rows("executions"), manifest.rows("deleted_functions")) == (12, 1)
    await restored(empty_database, file)
    assert await contents(empty_database) == await contents(database_url)


async def test_restore_returns_revisions_with_their_modules_and_history(
    platform: Platform, database_url: str, empty_database: str, file: Path
) -> None:
    """READY, FAILED, waiting and unpromoted revisions, shared modules, settings, and what a rollback leads to."""
    await platform.deploy("f", returning_wat("1"))
    await platform.put("f", returning_wat("2"), settings={"limits": {"concurrency": 7}})
    await platform.latest_settled("f")
    await platform.put("f", "(module")
    await platform.latest_settled("f")
    await platform.put("f", returning_wat("4"), promote=False)
    await platform.latest_settled("f")
    await platform.put("f", returning_wat("1"))  # has the module of revision 1
    await platform.latest_settled("f")
    await platform.http.post("/functions/f/rollback")
    async with platform.pool.acquire() as waiting, waiting.transaction():
        await waiting.execute("UPDATE functions SET newest_revision = 6")
        await waiting.execute(
            "INSERT INTO revisions (function_id, number, language, source) SELECT id, 6, 'wat', 'x' FROM functions"
        )
    manifest = await backed_up(database_url, file)
    assert (manifest.rows("functions"), manifest.rows("revisions"), manifest.rows("modules")) == (1, 6, 3)
    await restored(empty_database, file)
    assert await contents(empty_database) == await contents(database_url)

    connection = await asyncpg.connect(empty_database)
    row = await connection.fetchrow("SELECT live_revision, newest_revision, previous_revisions FROM functions")
    assert row
    assert tuple(row) == (2, 6, [1])
    with pytest.raises(asyncpg.ForeignKeyViolationError):  # the constraints are restored, too
        await connection.execute("DELETE FROM revisions WHERE number = 2")
    await connection.close()


async def test_restore_returns_images_with_their_engines(database_url: str, empty_database: str, file: Path) -> None:
    """And the order of the engines: an installation that has another one runs the functions and goes on to upgrade."""
    async with installation(1, database_url) as old, installation(2, database_url) as new:
        await old.deploy("f", '"refused"')
        new.compiler.refused = {'"refused"'}
        await new.upgrade.run_once()
        await new.deploy("g", '"new"')
        await old.deploy("h", '"old"')
    await backed_up(database_url, file)
    await restored(empty_database, file)
    assert await contents(empty_database) == await contents(database_url)
    async with installation(3, empty_database) as newest:
        assert [(await newest.call(name)).output for name in "fgh"] == [b'"refused"', b'"new"', b'"old"']
        await newest.upgrade.run_once()
        assert await versions_in(newest.pool) == {3}


async def test_restore_of_an_empty_database(database_url: str, empty_database: str, file: Path) -> None:
    await backed_up(database_url, file)
    await restored(empty_database, file)
    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT pgmq.send('compilation_jobs', '{}')") == 1
    await connection.close()


async def test_restore_interrupts_executions_and_releases_messages(
    bare_platform: Platform, database_url: str, empty_database: str, file: Path
) -> None:
    await bare_platform.register("waiting", core_wat())
    async with bare_platform.pool.acquire() as connection:
        await connection.execute("SELECT pgmq.read('compilation_jobs', 600, 1)")
        await connection.execute(
            "INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at) "
            "SELECT gen_random_uuid(), id, 1, gen_random_uuid(), '{}', now(), now() FROM functions"
        )
    manifest = await backed_up(database_url, file)
    assert (await restored(empty_database, file)).interrupted == 1
    there = await asyncpg.connect(empty_database)
    row = await there.fetchrow("SELECT status, error_message, completed_at FROM executions")
    assert row
    assert (row["status"], row["error_message"], row["completed_at"]) == ("FAILED", "interrupted", manifest.taken_at)
    job = await there.fetchrow("SELECT message, read_ct FROM pgmq.read('compilation_jobs', 30, 1)")
    assert job
    assert json.loads(job["message"])["source"] == core_wat()
    assert job["read_ct"] == 2  # its earlier delivery counts
    await there.close()


async def test_backup_is_one_snapshot(platform: Platform, database_url: str, file: Path) -> None:
    """Rows committed during a backup are in none of its tables."""
    await platform.deploy("echo", core_wat())
    async with platform.pool.acquire() as holder:
        # The backup waits here, at its third table, after it has read `functions`.
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("LOCK TABLE pgmq.q_compilation_jobs IN ACCESS EXCLUSIVE MODE")
        backing_up = asyncio.create_task(backed_up(database_url, file))

        async def waiting() -> int:
            return int(
                await platform.pool.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND wait_event_type = 'Lock' AND query LIKE 'COPY%'"
                )
            )

        await eventually(waiting)
        await platform.execute("echo", {"late": True})
        await holder.execute("SELECT pgmq.send('compilation_jobs', '{}')")
        await transaction.commit()
    manifest = await asyncio.wait_for(backing_up, 30)
    assert (manifest.rows("executions"), manifest.rows("pgmq.q_compilation_jobs")) == (0, 0)


async def test_restore_migrates_an_older_backup(empty_database: str, server_url: str, file: Path) -> None:
    earlier = replaced_database(server_url, f"earlier_{uuid4().hex}")
    admin = await asyncpg.connect(replaced_database(server_url, "postgres"))
    await admin.execute(f"CREATE DATABASE {earlier.split('/')[-1].split('?')[0]}")
    await admin.close()
    connection = await asyncpg.connect(earlier)
    await migrate(connection, through=2)
    await connection.execute(
        "INSERT INTO functions (id, name, language, source) VALUES (gen_random_uuid(), 'f', 'wat', 'x')"
    )
    await connection.close()
    manifest = await backed_up(earlier, file)
    assert [table.name for table in manifest.tables] == ["functions", "executions"]
    assert (await restored(empty_database, file)).migrated == [path.stem for path in files()[2:]]
    connection = await asyncpg.connect(empty_database)
    assert await connection.fetchval("SELECT name FROM functions") == "f"
    assert await migrate(connection) == []
    await connection.close()


@pytest.mark.parametrize("statement", ["CREATE TABLE theirs ()", "CREATE VIEW theirs AS SELECT 1"])
async def test_restore_refuses_a_non_empty_database(
    database_url: str, empty_database: str, file: Path, statement: str
) -> None:
    await backed_up(database_url, file)
    connection = await asyncpg.connect(empty_database)
    await connection.execute(statement)
    with pytest.raises(ConfigurationError, match=r"is not empty, it has public\.theirs"):
        await restored(empty_database, file)
    assert await connection.fetchval("SELECT to_regclass('functions')") is None
    await connection.close()
    with pytest.raises(ConfigurationError, match="is not empty, it has"):
        await restored(database_url, file)


async def test_restore_accepts_a_database_with_pgmq_and_no_queue(
    platform: Platform, database_url: str, empty_database: str, file: Path
) -> None:
    await platform.deploy("echo", core_wat())
    await backed_up(database_url, file)
    connection = await asyncpg.connect(empty_database)
    await migrations._install_pgmq(connection)
    await connection.close()
    await restored(empty_database, file)
    assert await contents(empty_database) == await contents(database_url)


async def test_restore_refuses_a_database_with_other_pgmq_columns(
    database_url: str, empty_database: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backed_up(database_url, file)
    with zipfile.ZipFile(file) as archive:
        tables = json.loads(archive.read("manifest.json"))["tables"]
    job_table = next(table for table in tables if table["name"] == "pgmq.q_compilation_jobs")
    job_table["columns"].append({"name": "new_in_pgmq_2", "type": "text"})
    changed(file, {"tables": tables})
    with pytest.raises(ConfigurationError, match=r"no column pgmq\.q_compilation_jobs\.new_in_pgmq_2 of type text"):
        await restored(empty_database, file)
    await assert_empty(empty_database)


async def assert_empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'pgmq')") == 0
    await connection.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "its format is 2, and this faas reads 1: restore it with the faas that made it"),
        (
            {"migrations": [{"name": f"{n:04}_x", "sha256": "x"} for n in range(1, 99)]},
            "at 0098_x, newer than this faas",
        ),
        ({"migrations": [{"name": "0001_functions", "sha256": "x"}]}, "are not those of this faas"),
        (
            {"tables": [{"name": "pg_authid", "columns": [], "rows": 0, "bytes": 0, "sha256": ""}]},
            "not of faas: pg_authid",
        ),
        ({"tables": None}, "its manifest does not decode"),
    ],
)
async def test_restore_refuses_unknown_formats_and_migrations(
    database_url: str, empty_database: str, file: Path, change: dict[str, object], said: str
) -> None:
    await backed_up(database_url, file)
    changed(file, change)
    with pytest.raises(ConfigurationError, match=said):
        await restored(empty_database, file)
    await assert_empty(empty_database)


def damages(whole: bytes) -> Iterator[bytes]:
    """Flipped bits in every entry, truncated files, other files."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        for entry in archive.infolist():
            name, extra = struct.unpack_from("<HH", whole, entry.header_offset + 26)
            middle = entry.header_offset + 30 + name + extra + entry.compress_size // 2
            yield whole[:middle] + bytes([whole[middle] ^ 0x10]) + whole[middle + 1 :]
    for size in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        yield whole[:size]
    yield b"\0" * len(whole)


async def test_archive_reader_refuses_damaged_files(platform: Platform, database_url: str, file: Path) -> None:
    await platform.deploy("echo", core_wat())
    await platform.execute("echo")
    await backed_up(database_url, file)
    whole = file.read_bytes()
    for damage in damages(whole):
        file.write_bytes(damage)
        with pytest.raises(ConfigurationError, match=re.escape(str(file))) as refused, ArchiveReader(file) as archive:
            archive.verify()
        assert "\n" not in str(refused.value)


async def test_archive_reader_verify_detects_replaced_rows(platform: Platform, database_url: str, file: Path) -> None:
    """An intact archive with an entry that does not match its manifest."""
    await platform.deploy("echo", core_wat())
    await backed_up(database_url, file)
    with zipfile.ZipFile(file) as old:
        entries = {name: old.read(name) for name in old.namelist()}
    entries["revisions.copy"] = entries["revisions.copy"].replace(b"READY", b"READX")
    with zipfile.ZipFile(file, "w") as new:
        for name, content in entries.items():
            new.writestr(name, content)
    with (
        ArchiveReader(file) as archive,
        pytest.raises(ConfigurationError, match=r"revisions\.copy does not match its manifest"),
    ):
        archive.verify()


async def test_backup_refuses_a_database_not_of_faas(empty_database: str, file: Path) -> None:
    with pytest.raises(ConfigurationError, match="this database was never used by faas"):
        await backed_up(empty_database, file)

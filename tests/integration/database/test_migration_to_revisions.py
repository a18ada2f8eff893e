"""The migration of a database of version 0.1.0, and the restore of its backup: nothing is lost, and waiting work ends."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest

from faas.backup.archive import ArchiveReader
from faas.backup.backup import back_up
from faas.backup.restore import restore
from faas.bootstrap import open_service
from faas.database.migrations import files, migrate
from faas.settings import Settings
from tests.helpers import version_1
from tests.helpers.revisions import assert_revision_invariants
from tests.helpers.support import Platform, eventually, replaced_database
from tests.helpers.version_1 import FUNCTIONS, LAST_MIGRATION

EXECUTION_COLUMNS = "id, function_id, revision, status, input::text, output::text, error_message, logs, started_at"
QUEUES = ("pgmq.q_compilation_jobs", "pgmq.q_compilation_results")


async def migrated(url: str, _: Path) -> None:
    """Migrate the database that version 0.1.0 used."""
    connection = await asyncpg.connect(url)
    await version_1.create(connection)
    assert await migrate(connection) == [file.stem for file in files()[LAST_MIGRATION:]]
    await connection.close()


async def restored(url: str, folder: Path) -> None:
    """Restore a backup of the database that version 0.1.0 used into an empty one."""
    server, name = replaced_database(url, "postgres"), f"version_1_{uuid4().hex}"
    admin = await asyncpg.connect(server)
    await admin.execute(f"CREATE DATABASE {name}")
    old = await asyncpg.connect(replaced_database(url, name))
    await version_1.create(old)
    with (folder / "backup.zip").open("wb") as stream:
        await back_up(old, stream)
    await old.close()
    await admin.execute(f"DROP DATABASE {name}")
    await admin.close()
    connection = await asyncpg.connect(url)
    with ArchiveReader(folder / "backup.zip") as archive:
        archive.verify()
        assert (await restore(connection, archive)).migrated == [file.stem for file in files()[LAST_MIGRATION:]]
    await connection.close()


Upgrade = Callable[[str, Path], Awaitable[None]]


@pytest.fixture(params=[migrated, restored], ids=lambda upgrade: upgrade.__name__)
async def upgraded(
    request: pytest.FixtureRequest, empty_database: str, tmp_path: Path
) -> AsyncIterator[asyncpg.Connection]:
    upgrade: Upgrade = request.param
    await upgrade(empty_database, tmp_path)
    connection = await asyncpg.connect(empty_database)
    yield connection
    await connection.close()


async def test_migration_keeps_every_function_with_its_revision_and_module(upgraded: asyncpg.Connection) -> None:
    rows = await upgraded.fetch(
        "SELECT id, name, description, live_revision, first_revision, newest_revision, previous_revisions, number, "
        "language, source, settings::text, promote, status, wasm, contract, compile_error, created_by "
        "FROM functions JOIN revisions ON function_id = id LEFT JOIN modules ON digest = module_digest"
    )
    assert {row["name"]: tuple(row) for row in rows} == {
        old.name: (
            old.id,
            old.name,
            old.description,
            old.revision if old.status == "READY" else None,
            old.revision,
            old.revision,
            [],
            old.revision,
            old.language,
            old.source,
            "{}",
            True,
            old.status,
            old.module,
            "json" if old.module else None,
            old.error,
            None,
        )
        for old in FUNCTIONS.values()
    }
    assert len(rows) == len(FUNCTIONS)
    modules = {row["wasm"] for row in await upgraded.fetch("SELECT wasm FROM modules")}
    assert modules == {old.module for old in FUNCTIONS.values() if old.module}
    assert await upgraded.fetchval("SELECT count(*) FROM modules") == 2  # `echo` and `copy` share one


async def test_migration_keeps_every_execution_and_message(upgraded: asyncpg.Connection) -> None:
    found = await upgraded.fetch(f"SELECT {EXECUTION_COLUMNS} FROM executions")
    assert len(found) == 13
    by_name = {old.name: [row for row in found if row["function_id"] == old.id] for old in FUNCTIONS.values()}
    assert {name: len(rows) for name, rows in by_name.items() if rows} == {
        "echo": 4,
        "three": 4,
        "broken": 4,
        "copy": 1,
    }
    for name in ("echo", "three", "broken"):
        assert {row["input"] for row in by_name[name]} == {'{"z": 1.0, "a": "\\u0000"}'}
        assert sorted(row["status"] for row in by_name[name]) == ["COMPLETED"] * 3 + ["FAILED"]
        assert {row["output"] for row in by_name[name]} == {'{"n": 1.0e400}', None}
        assert {row["error_message"] for row in by_name[name]} == {"trap: unreachable", None}
    assert [await upgraded.fetchval(f"SELECT count(*) FROM {queue}") for queue in QUEUES] == [4, 1]


async def test_migration_waiting_jobs_and_results_lead_to_ready(
    upgraded: asyncpg.Connection, empty_database: str, tmp_path: Path
) -> None:
    """Also with the deploys that follow; what was READY runs as before, and what was FAILED stays so."""
    settings = Settings(
        database_url=empty_database, data_dir=tmp_path, languages=("wat", "wasm"), database_pool=8, poll_interval=0.5
    )
    async with open_service(settings) as service, asyncpg.create_pool(empty_database, min_size=1, max_size=2) as pool:
        transport = httpx.ASGITransport(service.application)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            platform = Platform(http, pool)
            for name, output in (("pending", 4), ("revised", 5), ("compiling", 6), ("compiled", 7), ("three", 3)):
                function = await platform.settled(name)
                assert (function["status"], function["revision"]) == ("READY", FUNCTIONS[name].revision), name
                assert (await platform.execute(name))["output"] == output
            assert (await platform.execute("copy", {"a": 1}))["output"] == {"a": 1}
            broken = await platform.settled("broken")
            assert (broken["status"], broken["compileError"]) == ("FAILED", FUNCTIONS["broken"].error)

            async def waiting() -> list[int]:
                return [await pool.fetchval(f"SELECT count(*) FROM {queue}") for queue in QUEUES]

            await eventually(waiting, lambda counts: counts == [0, 0])
            assert (await platform.settled("three"))["revision"] == 2  # the job of its first revision changes nothing
            revised = await platform.put("copy", "(module")
            assert (revised["revision"], revised["latest"]["revision"]) == (7, 8)
            await platform.latest_settled("copy")
            assert (await platform.execute("copy", {"a": 2}))["revision"] == 7
            assert (await http.post("/functions/copy/rollback")).status_code == 409
            assert (await http.delete("/functions/echo")).status_code == 204
        await assert_revision_invariants(pool)

"""The migration to partitions: a database with rows of the released schema keeps all of them, in place."""

import asyncpg
import pytest
import structlog
from uuid_utils.compat import uuid7

from faas.bootstrap import open_service
from faas.database.migrations import migrate
from faas.settings import Settings
from tests.helpers.support import eventually

_RELEASED = 4  # the last migration of 0.1.0

_FUNCTIONS = """
INSERT INTO functions (id, name, language, source, status, wasm_binary)
SELECT $1, 'f', 'wat', '(module)', 'READY', '\\x0061736d'
"""
_EXECUTIONS = """
INSERT INTO executions
    (id, function_id, revision, process_id, status, input, output, error_message, logs, created_at, started_at, completed_at)
SELECT CASE WHEN number % 10 = 0 THEN gen_random_uuid() ELSE ($2::uuid[])[number] END, $1, 1, gen_random_uuid(),
       CASE number % 3 WHEN 0 THEN 'RUNNING' WHEN 1 THEN 'COMPLETED' ELSE 'FAILED' END,
       format('{"n":%s, "big": 1e400}', number)::json, CASE number % 3 WHEN 1 THEN '"out"'::json END,
       CASE number % 3 WHEN 2 THEN 'why' END, CASE number % 3 WHEN 0 THEN NULL ELSE 'log' END,
       now(), now(), CASE number % 3 WHEN 0 THEN NULL ELSE now() END
FROM generate_series(1, 90) AS number
"""
_COLUMNS = (
    "id, function_id, revision, process_id, status, input::text, output::text, error_message, logs, created_at, "
    "started_at, completed_at"
)


async def released_database(url: str, *, executions: bool) -> "asyncpg.Connection[asyncpg.Record]":
    connection = await asyncpg.connect(url)
    await migrate(connection, through=_RELEASED)
    if executions:
        function_id = uuid7()
        await connection.execute(_FUNCTIONS, function_id)
        await connection.execute(_EXECUTIONS, function_id, [uuid7() for _ in range(90)])
    return connection


async def test_migration_keeps_every_execution(empty_database: str) -> None:
    connection = await released_database(empty_database, executions=True)
    before = await connection.fetch(f"SELECT {_COLUMNS} FROM executions ORDER BY id")
    file = await connection.fetchval("SELECT pg_relation_filenode('executions')")
    await migrate(connection)
    assert await connection.fetch(f"SELECT {_COLUMNS} FROM executions ORDER BY id") == before
    assert await connection.fetchval("SELECT count(*) FROM executions WHERE payloads_expired") == 0
    # The table itself became a partition. Ids that are no times are in the default one.
    assert await connection.fetchval("SELECT pg_relation_filenode('executions_first')") == file
    assert await connection.fetchval("SELECT count(*) FROM executions_first") >= 81
    await connection.close()


async def test_migration_leaves_no_view_on_the_first_partition_alone(empty_database: str) -> None:
    """A view follows the table that it was made for when that is renamed."""
    connection = await released_database(empty_database, executions=False)
    await migrate(connection)
    await connection.execute(
        "INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at) "
        "VALUES ('fa000000-0000-7000-8000-000000000000', gen_random_uuid(), 7, gen_random_uuid(), '{}', now(), now())"
    )
    assert await connection.fetchval("SELECT revision FROM revisions_in_flight") == 7
    await connection.execute("DROP TABLE executions_first")
    await connection.close()


async def test_migration_leaves_indexes_and_constraints_of_the_partitions_alike(empty_database: str) -> None:
    connection = await released_database(empty_database, executions=True)
    await migrate(connection)
    described = []
    for table in ("executions_first", "executions_default"):
        indexes = await connection.fetch(
            "SELECT replace(pg_get_indexdef(child.indexrelid), $1, '') FROM pg_index AS child "
            "JOIN pg_inherits ON inhrelid = indexrelid WHERE child.indrelid = $1::text::regclass",
            table,
        )
        constraints = await connection.fetch(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::text::regclass ORDER BY 1", table
        )
        columns = await connection.fetch(
            "SELECT attname, attnotnull, attstorage, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname",
            table,
        )
        described.append((len(indexes), constraints, columns))
    assert described[0] == described[1]
    assert described[0][0] == 4
    await connection.close()


@pytest.mark.parametrize(
    ("executions", "keep", "kept", "said"),
    [
        (True, None, True, True),
        (True, 0.0, True, False),
        (True, 90 * 86400.0, False, False),
        (False, None, False, False),
    ],
)
async def test_database_that_held_executions_keeps_all_until_the_setting_is_given(
    empty_database: str, settings: Settings, executions: bool, keep: float | None, kept: bool, said: bool
) -> None:
    connection = await released_database(empty_database, executions=executions)
    await migrate(connection)
    await connection.execute(
        "INSERT INTO executions (id, function_id, revision, process_id, status, input, error_message, created_at, "
        "started_at, completed_at) VALUES ('0190a000-0000-7000-8000-000000000000', gen_random_uuid(), 1, "
        "gen_random_uuid(), 'FAILED', '{}', 'of 2024', now(), now(), now())"
    )
    old = "SELECT count(*) FROM executions WHERE error_message = 'of 2024'"
    chosen = Settings(database_url=empty_database, data_dir=settings.data_dir, role="api", keep_executions=keep)
    with structlog.testing.capture_logs() as logs:
        async with open_service(chosen):

            async def checked() -> int:  # by the first run of the background task, whose lock is free afterwards
                return int(
                    await connection.fetchval(
                        "SELECT count(*) FROM retention_marks WHERE name = 'checked' "
                        "AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted)"
                    )
                )

            await eventually(checked)
    assert await connection.fetchval(old) == kept
    assert ("retention.keeps_all" in [entry["event"] for entry in logs]) == said
    await connection.close()

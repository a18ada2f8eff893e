"""`faas prune`: beside a running server, without one, and on databases that it does not accept."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg

from faas.database.migrations import migrate
from faas.database.pool import Pool, open_pool
from faas.database.postgres.server import EmbeddedPostgres
from tests.helpers.executions import insert_function
from tests.helpers.retention import create_old_partitions, ids_left, insert_executions
from tests.helpers.server import COMMAND, failing, serving

DAY = timedelta(days=1)


async def prune(*arguments: str) -> str:
    """Run `faas prune …` successfully and return its standard output."""
    process = await asyncio.create_subprocess_exec(
        COMMAND, "prune", *arguments, env={"PATH": "", "HOME": "/nonexistent"}, stdout=-1, stderr=-1
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_prune_dry_run_says_what_prune_deletes(pool: Pool, database_url: str) -> None:
    function_id = await insert_function(pool, "f")
    await create_old_partitions(pool, 8)
    await insert_executions(pool, function_id, [7 * DAY, 30 * DAY, 2 * DAY])
    (young,) = await insert_executions(pool, function_id, [timedelta(hours=1)])
    before = await ids_left(pool)
    options = ("--database-url", database_url, "--keep-executions", "3d", "--keep-payloads", "1d")
    said = await prune(*options, "--dry-run")
    assert said.startswith("kept: executions 3d, payloads 1d\n")
    assert "partition executions_2" in said
    found = json.loads(await prune(*options, "--dry-run", "--json"))
    assert (found["dryRun"], found["keepExecutionsSeconds"]) == (True, 3 * 86400)
    assert sum(partition["size"]["rows"] for partition in found["partitions"]) == 1
    assert (found["executions"]["rows"], found["payloads"]["rows"]) == (1, 1)
    assert await ids_left(pool) == before
    said = await prune(*options)
    assert f"{len(found['partitions'])} partitions, 1 executions outside of expired partitions, 1 payloads" in said
    left = await ids_left(pool)
    assert young in left
    assert len(left) == 2
    assert await prune(*options) == "kept: executions 3d, payloads 1d\nnothing to delete\n"


async def test_prune_of_a_data_directory_beside_its_server_and_without_it(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    async with serving("--data-dir", str(data_dir)):
        postgres = EmbeddedPostgres(data_dir)
        assert postgres.attach()
        async with open_pool(postgres.url, 1) as pool:
            function_id = await insert_function(pool, "f")
            await insert_executions(pool, function_id, [timedelta(hours=30)])
        await postgres.stop()
        assert "nothing to delete" in await prune("--data-dir", str(data_dir))
    assert "deleted 1 executions" in await prune("--data-dir", str(data_dir), "--keep-executions", "12h")
    assert "nothing to delete" in await prune("--data-dir", str(data_dir), "--keep-executions", "12h")


async def test_prune_refuses_a_database_that_is_not_migrated(empty_database: str, tmp_path: Path) -> None:
    connection = await asyncpg.connect(empty_database)
    for through in (0, 4):
        await migrate(connection, through=through)
        code, said = await failing("prune", "--database-url", empty_database)
        assert (code, said) == (
            2,
            "faas: the database is not migrated to this version of faas: run `faas migrate` first\n",
        )
    await connection.close()
    missing = tmp_path / uuid4().hex
    code, said = await failing("prune", "--data-dir", str(missing))
    assert (code, said) == (2, f"faas: there is no database in {missing}: name its --data-dir, or its --database-url\n")

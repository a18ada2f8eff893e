"""Modules are stored once, and removed once no revision has had them for a while."""

import hashlib
from collections.abc import Sequence

from faas.database.pool import Pool
from faas.functions import queries
from faas.functions.module_cleanup import ModuleCleanup
from tests.helpers.executions import insert_function


async def modules_of(pool: Pool) -> Sequence[bytes]:
    rows = await pool.fetch("SELECT wasm FROM modules ORDER BY wasm")
    return [row["wasm"] for row in rows]


async def test_module_cleanup_waits_for_the_grace_period(pool: Pool) -> None:
    kept, removed = await insert_function(pool, "kept"), await insert_function(pool, "removed")
    assert kept != removed
    await pool.execute("DELETE FROM functions WHERE name = 'removed'")
    assert await ModuleCleanup(pool, grace_seconds=3600).remove() == 0
    assert await modules_of(pool) == [b"kept", b"removed"]
    assert await ModuleCleanup(pool, grace_seconds=0).remove() == 1
    assert await modules_of(pool) == [b"kept"]


async def test_module_cleanup_keeps_a_module_that_is_stored_again(pool: Pool) -> None:
    await insert_function(pool, "again")
    await pool.execute("DELETE FROM functions")
    cleanup = ModuleCleanup(pool, grace_seconds=3600)
    await cleanup.remove()
    async with pool.acquire() as connection:
        digest = hashlib.sha256(b"again").digest()
        await queries.store_module(connection, module_digest=digest, module=b"again", engine=None)
    assert await pool.fetchval("SELECT count(*) FROM unreferenced_modules") == 0


async def test_module_cleanup_leaves_a_module_that_a_revision_has(pool: Pool) -> None:
    await insert_function(pool, "shared")
    await pool.execute(
        "INSERT INTO unreferenced_modules SELECT digest, clock_timestamp() - interval '1 day' FROM modules"
    )
    assert await ModuleCleanup(pool, grace_seconds=0).remove() == 0
    assert await modules_of(pool) == [b"shared"]

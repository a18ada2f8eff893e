"""The engines in the database: stored once, in the order in which they came."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from faas.database.pool import Pool
from faas.engines import Engine, EngineMissing, EngineStore
from faas.functions.module_cleanup import ModuleCleanup
from tests.helpers.engines import InstalledCatalogue


def engine(content: bytes) -> Engine:
    return Engine("javascript", Path("javascript-0.wasm"), content, hashlib.sha256(content).digest())


def store_of(pool: Pool, content: bytes) -> EngineStore:
    return EngineStore(pool, InstalledCatalogue(engine(content)))


async def test_engine_store_numbers_engines_in_the_order_in_which_they_came(pool: Pool) -> None:
    """Also those that come at the same time, from several processes."""
    contents = [b"%d" % number for number in range(8)]
    numbers = await asyncio.gather(
        *(store_of(pool, content).register(engine(content)) for content in contents for _ in range(2))
    )
    assert sorted(set(numbers)) == list(range(1, 9))
    assert numbers[::2] == numbers[1::2]
    assert await store_of(pool, b"0").register(engine(b"0")) == numbers[0]
    assert await store_of(pool, b"new").register(engine(b"new")) == 9


async def test_engine_store_keeps_an_engine_once_and_gives_it_to_other_installations(pool: Pool) -> None:
    digest = engine(b"old").digest
    await asyncio.gather(*(store_of(pool, b"old").keep(digest) for _ in range(4)))
    assert await pool.fetchval("SELECT count(*) FROM modules") == 1
    other = store_of(pool, b"new")
    assert await other.load(digest) == b"old"
    await other.keep(digest)  # it is stored, so this installation need not have it
    assert await other.load(hashlib.sha256(b"unknown").digest()) is None
    with pytest.raises(EngineMissing, match="neither of this installation nor in the database"):
        await other.keep(hashlib.sha256(b"unknown").digest())


async def test_engine_store_does_not_load_a_module_that_is_no_engine(pool: Pool) -> None:
    await pool.execute("INSERT INTO modules (digest, wasm) VALUES (sha256('x'), 'x')")
    assert await store_of(pool, b"new").load(hashlib.sha256(b"x").digest()) is None


async def test_engine_store_begins_the_grace_period_again(pool: Pool) -> None:
    store, cleanup = store_of(pool, b"old"), ModuleCleanup(pool, grace_seconds=3600)
    await store.keep(engine(b"old").digest)
    await cleanup.remove()
    assert await pool.fetchval("SELECT count(*) FROM unreferenced_modules") == 1
    await store.keep(engine(b"old").digest)
    assert await pool.fetchval("SELECT count(*) FROM unreferenced_modules") == 0
    await ModuleCleanup(pool, grace_seconds=0).remove()
    assert await pool.fetchval("SELECT count(*) FROM modules") == 0


async def test_engine_store_gives_the_engines_of_the_languages_asked_for(pool: Pool) -> None:
    store = store_of(pool, b"js")
    assert [each.digest for each in await store.current(["typescript", "wat"])] == [engine(b"js").digest]
    assert await store.current(["python", "wat"]) == []

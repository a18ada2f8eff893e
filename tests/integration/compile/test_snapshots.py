"""Snapshots: deterministic, separate from each other, and taken within limits."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from faas.compile.snapshot import Snapshot, Snapshots
from faas.engines import EngineCatalogue
from faas.runtime import images

ORDER = """class Order { lines = [1, 2]; }
const orders = new Map([["a", new Order()]]);
const pattern = /^(\\w+)-(\\d+)$/u;
export const handle = () => [...orders.keys()];"""


async def opened(memory: int = 64 << 20) -> Snapshots:
    return Snapshots("javascript", EngineCatalogue(), workers=1, stack=1 << 20, memory=memory)


@pytest.fixture(scope="module")
async def snapshots() -> AsyncIterator[Snapshots]:
    found = await opened()
    yield found
    await found.close()


async def image(snapshots: Snapshots, source: str) -> bytes:
    taken = await snapshots.take(source, "function.js")
    assert isinstance(taken, Snapshot), taken
    return taken.binary


async def test_snapshot_of_a_source_has_the_same_bytes_in_every_process(snapshots: Snapshots) -> None:
    first = await image(snapshots, ORDER)
    other = await opened()
    try:
        assert await image(other, ORDER) == first
        await image(other, "globalThis.leftover = 'x'.repeat(100000); export const handle = () => 1;")
        assert await image(other, ORDER) == first
    finally:
        await other.close()


async def test_snapshot_names_its_engine_and_is_small(snapshots: Snapshots) -> None:
    engine = EngineCatalogue().find("javascript")
    assert engine
    binary = await image(snapshots, "export const handle = (input) => input;")
    parsed = images.parse(binary)
    assert parsed.engine == engine.digest
    assert parsed.globals.keys() == {"__stack_pointer", "state"}
    assert len(binary) < 20_000


async def test_snapshot_has_nothing_of_another_source(snapshots: Snapshots) -> None:
    secret = "s3cret-of-another-function"
    with_secret = await image(snapshots, f"const key = '{secret}'; export const handle = () => key.length;")
    assert secret.encode() in with_secret
    assert secret.encode() not in await image(snapshots, ORDER)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("for (;;);", "the code at top level exceeded the time limit of 5 s"),
        (
            "export const handle = () => 1;\nawait (async () => { for (;;) await 1; })();",
            "the code at top level exceeded the time limit of 5 s",
        ),
        ("const all = []; for (;;) all.push(new Uint8Array(1 << 20));", "InternalError: out of memory"),
        ("JSON.parse('['.repeat(100000));", "the code at top level exceeded the stack limit"),
    ],
)
async def test_snapshot_worker_survives_hostile_top_level_code(snapshots: Snapshots, source: str, reason: str) -> None:
    expected = await image(snapshots, ORDER)
    taken = await snapshots.take(source, "function.js")
    assert isinstance(taken, str)
    assert taken.startswith(reason)
    assert await image(snapshots, ORDER) == expected


async def test_snapshots_of_many_sources_at_once_are_those_of_each(snapshots: Snapshots) -> None:
    sources = [f"const n = {number}; export const handle = () => n;" for number in range(20)]
    at_once = await asyncio.gather(*(image(snapshots, source) for source in sources))
    assert at_once == [await image(snapshots, source) for source in sources]
    assert len(set(at_once)) == 20


async def test_snapshot_of_a_source_of_a_megabyte(snapshots: Snapshots) -> None:
    table = ",".join(f'"key{number}": [{number}, "{number:x}"]' for number in range(30_000))
    source = f"const table = {{{table}}};\nexport const handle = ({{ key }}) => table[key];"
    assert 800_000 < len(source) < 1 << 20
    assert images.parse(await image(snapshots, source)).pages < 512

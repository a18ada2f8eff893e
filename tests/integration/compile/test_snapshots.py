"""Snapshots: deterministic, separate from each other, and taken within limits."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from faas.compile.snapshot import Snapshot, Snapshots, worker
from faas.engines import Engine, EngineCatalogue, EngineMissing
from faas.runtime import EngineUnavailable, Limits, Precompiler, Runtime, SealedCode, images
from faas.sandbox import WorkerDied

ORDER = """class Order { lines = [1, 2]; }
const orders = new Map([["a", new Order()]]);
const pattern = /^(\\w+)-(\\d+)$/u;
export const handle = () => [...orders.keys()];"""


STACK, MEMORY = 1 << 20, 64 << 20


@pytest.fixture(scope="module")
async def runtime() -> AsyncIterator[Runtime]:
    limits = Limits(time=10, memory=MEMORY, stack=STACK, input=1 << 20, output=1 << 20, logs=2000)
    precompiler = Precompiler(stack=STACK, timeout=120, memory=2 << 30, workers=1)
    async with Runtime(limits, precompiler, threads=2, cached_modules=4, load_engine=EngineCatalogue().load) as found:
        yield found


def opened(runtime: Runtime, catalogue: EngineCatalogue | None = None, *, memory: int = MEMORY) -> Snapshots:
    catalogue = catalogue or EngineCatalogue()
    return Snapshots("javascript", catalogue, runtime.engine_code, workers=1, stack=STACK, memory=memory)


@pytest.fixture(scope="module")
async def snapshots(runtime: Runtime) -> AsyncIterator[Snapshots]:
    found = opened(runtime)
    yield found
    await found.close()


async def image(snapshots: Snapshots, source: str) -> bytes:
    taken = await snapshots.take(source, "function.js")
    assert isinstance(taken, Snapshot), taken
    return taken.binary


async def test_snapshot_of_a_source_has_the_same_bytes_in_every_process(snapshots: Snapshots, runtime: Runtime) -> None:
    first = await image(snapshots, ORDER)
    other = opened(runtime)
    try:
        assert await image(other, ORDER) == first
        await image(other, "globalThis.leftover = 'x'.repeat(100000); export const handle = () => 1;")
        assert await image(other, ORDER) == first
    finally:
        await other.close()


async def test_snapshot_below_the_memory_of_the_engine_says_what_is_needed(runtime: Runtime) -> None:
    snapshots = opened(runtime, memory=192 << 10)
    with pytest.raises(
        EngineMissing, match=r"limit of 192 KiB is too small for the javascript engine, which needs \d+ KiB"
    ):
        await snapshots.take(ORDER, "function.js")
    assert snapshots.state().startswith("DOWN: the memory limit of 192 KiB")
    await snapshots.close()


async def test_snapshot_names_its_engine_and_is_small(snapshots: Snapshots) -> None:
    engine = await EngineCatalogue().get("javascript")
    binary = await image(snapshots, "export const handle = (input) => input;")
    parsed = images.parse(binary)
    assert parsed.engine == engine.digest
    assert parsed.globals.keys() == {"__stack_pointer", "state"}
    assert len(binary) < 20_000


async def test_snapshot_worker_starts_from_the_native_code_of_the_server_alone(
    runtime: Runtime, tmp_path: Path
) -> None:
    engine = await EngineCatalogue().get("javascript")
    await runtime.engine_code(engine.digest)

    class WithoutFile(EngineCatalogue):
        async def get(self, name: str) -> Engine:
            return msgspec.structs.replace(engine, file=tmp_path / "deleted.wasm")

    found = opened(runtime, WithoutFile())
    assert images.parse(await image(found, ORDER)).engine == engine.digest
    await found.close()


async def test_snapshot_worker_refuses_native_code_that_wasmtime_did_not_make_for_it() -> None:
    sealed = SealedCode.of(b"\x7fELF no native code")

    async def native_code(_digest: bytes) -> SealedCode:
        return sealed

    found = Snapshots("javascript", EngineCatalogue(), native_code, workers=1, stack=STACK, memory=MEMORY)
    with pytest.raises(WorkerDied, match="did not start"):
        await found.take(ORDER, "function.js")
    assert found.state().startswith("DOWN: ")
    await found.close()
    sealed.close()


async def test_snapshot_worker_that_is_too_slow_is_no_error_of_the_author(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = opened(runtime)
    request = found.pool.request

    async def request_of_a_stopped_worker(content: bytes, timeout: float) -> bytes:
        if content == worker.BASE:
            (process,) = found.pool.processes
            assert process.pid
            os.kill(process.pid, signal.SIGSTOP)
        return await request(content, timeout)

    monkeypatch.setattr(found.pool, "request", request_of_a_stopped_worker)
    monkeypatch.setattr("faas.compile.snapshot.client._ANSWER_MARGIN_SECONDS", 0.0)
    with pytest.raises(WorkerDied, match="exceeded the time limit of 0"):
        await found.take(ORDER, "function.js")
    monkeypatch.undo()
    assert isinstance(await found.take(ORDER, "function.js"), Snapshot)
    await found.close()


async def test_snapshots_report_an_engine_that_cannot_be_precompiled() -> None:
    async def native_code(_digest: bytes) -> SealedCode:
        raise EngineUnavailable("the engine cannot be restored: a reason")

    found = Snapshots("javascript", EngineCatalogue(), native_code, workers=1, stack=STACK, memory=MEMORY)
    with pytest.raises(EngineMissing, match="javascript engine cannot be used: the engine cannot be restored"):
        await found.take(ORDER, "function.js")
    assert found.state() == "DOWN: the engine cannot be restored: a reason"
    await found.close()


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

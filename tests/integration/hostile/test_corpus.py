"""Hostile modules and sources: each has the fate that the corpus names, and nobody else notices."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from faas.compile.languages import Compiler
from faas.compile.languages.assemblyscript import AssemblyScriptCompiler
from faas.compile.languages.wat import WatCompiler
from faas.compile.outcome import Compiled, CompileFailed
from faas.runtime import Limits, Outcome, Precompiler, Runtime
from faas.sandbox import WorkerPool
from tests.helpers.server import processes_of
from tests.helpers.support import core_wat, wat
from tests.integration.hostile.binaries import BINARIES, many_branches
from tests.integration.hostile.modules import MODULES, SLOW
from tests.integration.hostile.outcomes import Fate, Hostile
from tests.integration.hostile.sources import SOURCES

pytestmark = pytest.mark.slow

ECHO = wat(core_wat())
GROWTH = 400 << 20  # bytes that this process may keep: mostly the native code of the modules in the cache
TOLD_AT_MOST = 70_000  # characters of an error: diagnostics have 64 KiB


async def run(runtime: Runtime, binary: bytes, document: bytes = b"{}") -> Outcome:
    async def load() -> bytes:
        return binary

    return await runtime.run(hashlib.sha256(binary).digest(), load, document)


async def fate_of(entry: Hostile, compiler: Compiler, runtime: Runtime) -> tuple[Fate, str]:
    """What becomes of it, and what is told."""
    compiled = await compiler.compile(entry.source) if isinstance(entry.source, str) else Compiled(entry.source)
    if isinstance(compiled, CompileFailed):
        return Fate.REFUSED, compiled.diagnostics
    if fault := await runtime.check(compiled.binary):
        return Fate.REFUSED, fault
    outcome = await run(runtime, compiled.binary, entry.document)
    if outcome.output is None:
        return Fate.FAILED, outcome.error or ""
    return Fate.COMPLETED, outcome.output.decode()


def check(entry: Hostile, fate: Fate, told: str) -> None:
    assert fate == entry.fate, told[:2000]
    assert entry.told in told[:100_000], told[:2000]
    assert fate == Fate.COMPLETED or len(told) < TOLD_AT_MOST


def confined() -> set[int]:
    """The compilers among our descendants."""
    found = set()
    for pid in processes_of(os.getpid()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"worker.mjs" in command or b"precompile/worker.py" in command:
            found.add(pid)
    return found


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(autouse=True, scope="module")
async def nothing_is_left(runtime: Runtime, compiler: AssemblyScriptCompiler) -> AsyncIterator[None]:
    """After the last of them the process is as it was: it answers, and keeps neither memory nor processes."""
    assert await run(runtime, ECHO) == Outcome(output=b"{}")
    others, before = confined(), resident()
    pools: list[WorkerPool] = [compiler.pool, runtime.precompiler_pool]
    own = {process.pid for pool in pools for process in pool.processes}
    yield
    assert await run(runtime, ECHO, b'{"still": "here"}') == Outcome(output=b'{"still": "here"}')
    assert runtime.epoch_ticker.active_guests == 0
    assert resident() - before < GROWTH
    now = {process.pid for pool in pools for process in pool.processes}
    assert confined() - (others - own) <= now


@pytest.mark.parametrize("name", BINARIES)
async def test_a_binary_ends_as_it_must(runtime: Runtime, name: str) -> None:
    entry = BINARIES[name]
    check(entry, *await fate_of(entry, WatCompiler(runtime), runtime))


@pytest.mark.parametrize("name", MODULES)
async def test_a_module_ends_as_it_must(runtime: Runtime, name: str) -> None:
    entry = MODULES[name]
    check(entry, *await fate_of(entry, WatCompiler(runtime), runtime))


@pytest.mark.parametrize("name", SOURCES)
async def test_a_source_ends_as_it_must(runtime: Runtime, compiler: AssemblyScriptCompiler, name: str) -> None:
    entry = SOURCES[name]
    check(entry, *await fate_of(entry, compiler, runtime))


async def test_what_takes_too_long_to_compile_is_ended() -> None:
    """The assembler and the precompiler have a time limit too, and do not work in this process."""
    limits = Limits(time=0.3, memory=16 << 20, stack=256 << 10, input=1 << 20, output=1 << 20, logs=2000)
    precompiler = Precompiler(stack=limits.stack, timeout=1, memory=2 << 30, workers=2)
    async with Runtime(limits, precompiler, threads=2, cached_modules=8) as runtime:
        check(SLOW, *await fate_of(SLOW, WatCompiler(runtime), runtime))
        assert await runtime.check(many_branches(40_000)) == "native compilation exceeded the time limit of 1s"
        pids = {process.pid for process in precompiler.pool.processes}
    assert confined().isdisjoint(pids)


async def test_many_at_once_hold_up_nobody(runtime: Runtime) -> None:
    """The loop turns and an echo is answered while the worst of the guests run."""
    worst = [
        "memory: fill for ever", "memory: grow for ever in alloc", "table: grow for ever", "stack: tail calls for ever",
        "start function: loops", "host function: console.log for ever", "host function: trace for ever",
        "host function: seed for ever", "output: half a million levels", "code: 20,000 exports",
    ]  # fmt: skip
    assembler = WatCompiler(runtime)
    hostile = [asyncio.create_task(fate_of(MODULES[name], assembler, runtime)) for name in worst]
    lags, echoes = [], 0
    while not all(task.done() for task in hostile):
        before = time.monotonic()
        await asyncio.sleep(0)
        assert await run(runtime, ECHO) == Outcome(output=b"{}")
        echoes += 1
        lags.append(time.monotonic() - before)
        await asyncio.sleep(0.005)
    for name, task in zip(worst, hostile, strict=True):
        check(MODULES[name], *await task)
    assert echoes > 5
    assert max(lags) < 3

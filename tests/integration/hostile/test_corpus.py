"""Hostile modules and sources: each has the outcome that the corpus names, and does not affect others."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from faas.compile.languages import Compiler
from faas.compile.languages.assemblyscript import AssemblyScriptCompiler
from faas.compile.languages.wat import WatCompiler
from faas.compile.outcome import Compiled, CompileFailure
from faas.runtime import Outcome, Runtime
from faas.sandbox import WorkerPool
from tests.helpers.guests import SHORT_LIMITS, limits_for, little_work, run_module, small_runtime
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


async def fate_of(
    entry: Hostile, compiler: Compiler, runtime: Runtime, *, beside_others: bool = False
) -> tuple[Fate, str]:
    """Return the outcome and its message. Where no others run, what is not endless takes no longer than a short limit."""
    compiled = await compiler.compile(entry.source) if isinstance(entry.source, str) else Compiled(entry.source)
    if isinstance(compiled, CompileFailure):
        return Fate.REFUSED, compiled.diagnostics
    if fault := await runtime.check(compiled.binary):
        return Fate.REFUSED, fault
    limits = SHORT_LIMITS if entry.endless else limits_for(entry.told)
    with nullcontext() if beside_others else little_work(limits):
        outcome = await run_module(runtime, compiled.binary, entry.document, limits=limits)
    if outcome.output is None:
        return Fate.FAILED, outcome.error or ""
    return Fate.COMPLETED, outcome.output.decode()


def check(entry: Hostile, fate: Fate, told: str) -> None:
    assert fate == entry.fate, told[:2000]
    assert entry.told in told[:100_000], told[:2000]
    assert fate == Fate.COMPLETED or len(told) < TOLD_AT_MOST


def confined() -> set[int]:
    """Return the compilers among the descendants of this process."""
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
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(autouse=True, scope="module")
async def nothing_is_left(runtime: Runtime, compiler: AssemblyScriptCompiler) -> AsyncIterator[None]:
    """After the last test the process still answers, and has kept neither memory nor processes."""
    assert await run_module(runtime, ECHO) == Outcome(output=b"{}")
    others, before = confined(), resident()
    pools: list[WorkerPool] = [compiler.pool, runtime.precompiler_pool]
    own = {process.pid for pool in pools for process in pool.processes}
    yield
    assert await run_module(runtime, ECHO, b'{"still": "here"}') == Outcome(output=b'{"still": "here"}')
    assert runtime.epoch_ticker.active_guests == 0
    assert resident() - before < GROWTH
    now = {process.pid for pool in pools for process in pool.processes}
    assert confined() - (others - own) <= now


@pytest.mark.parametrize("name", BINARIES)
async def test_hostile_binary_has_its_expected_outcome(runtime: Runtime, name: str) -> None:
    entry = BINARIES[name]
    check(entry, *await fate_of(entry, WatCompiler(runtime), runtime))


@pytest.mark.parametrize("name", MODULES)
async def test_hostile_module_has_its_expected_outcome(runtime: Runtime, name: str) -> None:
    entry = MODULES[name]
    check(entry, *await fate_of(entry, WatCompiler(runtime), runtime))


@pytest.mark.parametrize("name", SOURCES)
async def test_hostile_source_has_its_expected_outcome(
    runtime: Runtime, compiler: AssemblyScriptCompiler, name: str
) -> None:
    entry = SOURCES[name]
    check(entry, *await fate_of(entry, compiler, runtime))


async def test_hostile_module_that_precompiles_slowly_is_stopped() -> None:
    """The assembler and the precompiler have a time limit too, and run in other processes."""
    async with small_runtime(precompile_timeout=1) as runtime:
        check(SLOW, *await fate_of(SLOW, WatCompiler(runtime), runtime))
        assert await runtime.check(many_branches(40_000)) == "precompiler exceeded the time limit of 1s"
        pids = {process.pid for process in runtime.precompiler_pool.processes}
    assert confined().isdisjoint(pids)


async def test_hostile_guests_do_not_delay_others(runtime: Runtime) -> None:
    """The event loop runs and an echo is answered while the worst guests run."""
    worst = [
        "memory: fill endlessly", "memory: grow endlessly in alloc", "table: grow endlessly", "stack: tail calls endlessly",
        "start function: loops", "host function: console.log endlessly", "host function: trace endlessly",
        "host function: seed endlessly", "output: half a million levels", "code: 20,000 exports",
    ]  # fmt: skip
    assembler = WatCompiler(runtime)
    hostile = [asyncio.create_task(fate_of(MODULES[name], assembler, runtime, beside_others=True)) for name in worst]
    lags, echoes = [], 0
    while not all(task.done() for task in hostile):
        before = time.monotonic()
        await asyncio.sleep(0)
        assert await run_module(runtime, ECHO) == Outcome(output=b"{}")
        echoes += 1
        lags.append(time.monotonic() - before)
        await asyncio.sleep(0.005)
    for name, task in zip(worst, hostile, strict=True):
        check(MODULES[name], *await task)
    assert echoes > 5
    assert max(lags) < 3

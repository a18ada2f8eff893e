"""A compiler that exceeds a limit is killed and replaced, and its diagnostics name the limit."""

import asyncio
from pathlib import Path

import pytest

from faas.compile.languages import assemblyscript
from faas.compile.languages.assemblyscript import AssemblyScriptCompiler
from faas.compile.outcome import Compiled, CompileFailure
from faas.sandbox import WorkerDied
from tests.helpers.support import ECHO_TS

pytestmark = pytest.mark.slow

LONG_TS = (
    "\n".join(f"export function f{n}(a: i32): i32 {{ return a * {n} + f{max(n - 1, 0)}(a - 1); }}" for n in range(9000))
    + f"\n{ECHO_TS}"
)

# Each instantiation requires another one with a name twice as long.
DOUBLING_TS = """class Pair<A, B> { constructor(public a: A, public b: B) {} }
function grow<T>(value: T): void { grow<Pair<T, T>>(new Pair<T, T>(value, value)); }
export function handle(input: string): string { grow<string>(input); return input; }"""

# The compiler itself runs out of stack.
CRASHING_TS = "export function handle(input: string): string { return " + "(" * 20_000 + "input" + ")" * 20_000 + "; }"


def pids(compiler: AssemblyScriptCompiler) -> set[int | None]:
    return {process.pid for process in compiler.pool.processes}


async def test_compiler_time_limit_kills_the_process() -> None:
    compiler = AssemblyScriptCompiler(workers=1, timeout=1.5, memory=3 << 30, output_limit=8 << 20)
    await compiler.warm_up()
    before = pids(compiler)
    assert await compiler.compile(LONG_TS) == CompileFailure("AssemblyScript compiler exceeded the time limit of 1.5s")
    compiler._timeout = 120  # how fast the new process is depends on the machine
    assert isinstance(await compiler.compile(ECHO_TS), Compiled)
    assert pids(compiler).isdisjoint(before)
    await compiler.close()
    for pid in before:
        assert not Path(f"/proc/{pid}").exists()


async def test_compiler_memory_limit_is_reported() -> None:
    compiler = AssemblyScriptCompiler(workers=1, timeout=120, memory=1100 << 20, output_limit=8 << 20)
    assert await compiler.compile(DOUBLING_TS) == CompileFailure(
        "AssemblyScript compiler exceeded the memory limit of 1100 MiB"
    )
    assert isinstance(await compiler.compile(ECHO_TS), Compiled)
    await compiler.close()


async def test_compiler_output_limit_is_reported() -> None:
    compiler = AssemblyScriptCompiler(workers=1, timeout=60, memory=2 << 30, output_limit=1000)
    answer = await compiler.compile(ECHO_TS)
    assert answer == CompileFailure("the compiled module has 4578 bytes, over the output limit of 1000 bytes")
    await compiler.close()


async def test_compiler_crash_is_reported_and_the_process_replaced() -> None:
    compiler = AssemblyScriptCompiler(workers=1, timeout=60, memory=2 << 30, output_limit=8 << 20)
    answer = await compiler.compile(CRASHING_TS)
    assert isinstance(answer, CompileFailure)
    assert answer.diagnostics.startswith("the compiler crashed on this source: RangeError")
    before = pids(compiler)
    assert isinstance(await compiler.compile(ECHO_TS), Compiled)
    assert pids(compiler).isdisjoint(before)
    await compiler.close()


async def test_compiler_killed_process_is_replaced() -> None:
    compiler = AssemblyScriptCompiler(workers=1, timeout=60, memory=2 << 30, output_limit=8 << 20)
    await compiler.warm_up()
    (process,) = compiler.pool.processes
    assert process._process
    process._process.kill()
    await process._process.wait()
    assert isinstance(await compiler.compile(ECHO_TS), Compiled)
    (process,) = compiler.pool.processes
    compiling = asyncio.create_task(compiler.compile(LONG_TS))
    while not process._busy:
        await asyncio.sleep(0.01)
    assert process._process
    process._process.kill()
    with pytest.raises(WorkerDied, match="exit code -9"):
        await compiling
    assert isinstance(await compiler.compile(ECHO_TS), Compiled)
    await compiler.close()


async def test_compiler_failed_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemblyscript, "TOOLCHAIN", Path("/nowhere"))
    compiler = AssemblyScriptCompiler(workers=1, timeout=60, memory=2 << 30, output_limit=8 << 20)
    for _ in range(2):  # a failed start releases its slot in the pool
        with pytest.raises(Exception, match="compiler is missing in /nowhere"):
            await asyncio.wait_for(compiler.compile(ECHO_TS), 5)
    assert compiler.state().startswith("DOWN: the AssemblyScript compiler is missing")

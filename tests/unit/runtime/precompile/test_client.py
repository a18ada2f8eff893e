"""The precompiler's client: workers that are slow, die or answer too much are replaced, and no file descriptor leaks."""

import asyncio
import os
import signal
import subprocess
import sys

from tests.helpers.guests import run_module, small_runtime
from tests.helpers.support import core_wat, eventually


async def test_precompiler_timeout_is_not_remembered() -> None:
    async with small_runtime(precompile_timeout=1) as runtime:
        await runtime.precompiler_pool.warm_up(2)
        for process in runtime.precompiler_pool.processes:
            assert process.pid
            os.kill(process.pid, signal.SIGSTOP)  # stands for a machine that is busy
        slow = await run_module(runtime, core_wat())
        assert slow.error == "precompiler exceeded the time limit of 1s"
        await runtime.precompiler_pool.discard_idle()

        async def again() -> bytes | None:
            return (await run_module(runtime, core_wat(), b"{}")).output

        assert await eventually(again) == b"{}"


async def test_precompiler_worker_that_died_while_idle_is_replaced() -> None:
    async with small_runtime() as runtime:
        await runtime.precompiler_pool.warm_up()
        (process,) = runtime.precompiler_pool.processes
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        await eventually(lambda: asyncio.sleep(0, not process.usable))
        await runtime.precompiler_pool.warm_up()
        (other,) = runtime.precompiler_pool.processes
        assert other.usable


DESCRIPTORS = """
import asyncio, gc, os, uvloop
from faas.runtime import Precompiler
from faas.sandbox import LimitReached, WorkerProcess
async def refused():
    sandbox = Precompiler(stack=1 << 18, timeout=60, memory=2 << 30, workers=1).sandbox
    process = WorkerProcess(sandbox, answer_limit=10)
    await process.start()
    try:
        await process.request(b"T(module (memory 1) (data (i32.const 0) \\"" + b"x" * 1_000_000 + b"\\"))", 60)
    except LimitReached:
        return process
    raise AssertionError("it was not refused")
async def main():
    gc.disable()
    kept = [await refused()]
    before = len(os.listdir("/proc/self/fd"))
    kept += [await refused() for _ in range(3)]
    async with asyncio.timeout(20):
        while len(os.listdir("/proc/self/fd")) > before:
            await asyncio.sleep(0.02)
uvloop.run(main())
"""


def test_precompiler_worker_that_answers_too_much_leaks_no_descriptor() -> None:
    """Needs the event loop of `faas serve`: that of asyncio closes a pipe that was not read to its end."""
    run = subprocess.run([sys.executable, "-c", DESCRIPTORS], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr

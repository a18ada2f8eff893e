"""What the engine does when something around it fails or is slow: it goes on, and nobody is judged by it for good."""

import asyncio
import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from faas.runtime import Artifacts, Limits, Runtime, module_cache
from faas.runtime import runtime as runtime_module
from faas.runtime.precompile.cache import ArtifactCache
from tests.helpers.support import LOOP_WAT, core_wat, eventually, wat
from tests.unit.runtime.test_core_abi import call

LIMITS = Limits(time=0.3, memory=16 << 20, stack=256 << 10, input=1 << 20, output=1 << 20, logs=2000)


def opened(*, timeout: float = 60, threads: int = 4) -> Runtime:
    artifacts = Artifacts(stack=LIMITS.stack, timeout=timeout, memory=2 << 30, workers=1)
    return Runtime(LIMITS, artifacts, threads=threads, cached_modules=8)


async def test_a_translation_that_took_too_long_is_tried_again() -> None:
    async with opened(timeout=1) as runtime:
        await runtime.processes.warm(2)
        for process in runtime.processes.processes:
            assert process.pid
            os.kill(process.pid, signal.SIGSTOP)  # a machine that is busy with something else
        slow = await call(runtime, core_wat())
        assert slow.error == "translating the module exceeded the time limit of 1s"
        await runtime.processes.retire()

        async def again() -> bytes | None:
            return (await call(runtime, core_wat(), b"{}")).output

        assert await eventually(again) == b"{}"


async def test_the_time_limit_is_kept_when_no_tick_comes() -> None:
    """The C library's timer makes a thread for each tick; where a process may have no more, there is none."""
    async with opened() as runtime:
        await call(runtime, core_wat())
        looping = asyncio.create_task(call(runtime, LOOP_WAT))
        await asyncio.sleep(0.05)
        runtime._clock.stop()
        assert (await asyncio.wait_for(looping, 30)).error == "time limit of 300ms exceeded"


async def test_a_large_output_is_not_checked_on_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    check = runtime_module._fault_of

    def seen(output: bytes) -> str | None:
        threads.add(threading.current_thread().name.partition("_")[0])
        return check(output)

    monkeypatch.setattr(runtime_module, "_fault_of", seen)
    large = core_wat(
        "(memory.fill (i32.const 65536) (i32.const 49) (i32.const 70000))"
        "(i64.or (i64.shl (i64.const 65536) (i64.const 32)) (i64.const 70000))",
        memory="4 16",
    )
    async with opened() as runtime:
        for _ in range(20):
            output = (await call(runtime, large)).output
            assert output
            assert len(output) == 70000
        assert threads == {"guest"}


async def test_a_small_stack_keeps_guests_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 20, 1 << 20))
    assert not runtime_module._has_stack(2 << 20)
    async with opened() as runtime:
        assert runtime._attempts == 0
        assert (await call(runtime, core_wat(), b"{}")).output == b"{}"


async def test_a_module_that_is_slow_now_and_then_has_to_be_quick_for_longer_each_time() -> None:
    async with opened() as runtime:
        binary = wat(core_wat())
        module = await runtime._modules.get(hashlib.sha256(binary).digest(), lambda: asyncio.sleep(0, binary), new=True)
        assert isinstance(module, module_cache.Module)
        needed = []
        for _ in range(5):
            quick = 0
            while not module.quick:
                module.took(0.0)
                quick += 1
            needed.append(quick)
            module.took(0.2)
        assert needed == [3, 6, 12, 24, 48]
        for _ in range(96):
            module.took(0.0)
        module.took(0.001)
        assert module.quick  # forgiven: a moment, after many quick ones
        for _ in range(96):
            module.took(0.0)
        module.took(0.1)
        assert not module.quick


async def test_native_code_in_memory_has_a_limit_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_cache, "_LARGEST", 1)
    async with opened() as runtime:
        for number in range(3):
            assert (await call(runtime, core_wat(extra=f"(global i32 (i32.const {number}))"), b"{}")).output == b"{}"
        assert len(runtime._modules._tasks) == 1


def test_a_disk_that_is_read_only_costs_neither_the_call_nor_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ArtifactCache(tmp_path / "artifacts", "engine")
    digest = hashlib.sha256(b"a module").digest()
    cache.put(digest, b"native code")

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "utime", refuse)
    assert cache.get(digest) == b"native code"


async def test_processes_that_died_while_nobody_asked_them_are_replaced() -> None:
    async with opened() as runtime:
        await runtime.processes.warm()
        (process,) = runtime.processes.processes
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        await eventually(lambda: asyncio.sleep(0, not process.usable))
        await runtime.processes.warm()
        (other,) = runtime.processes.processes
        assert other.usable


DESCRIPTORS = """
import asyncio, gc, os, uvloop
from faas.runtime import Artifacts
from faas.sandbox import LimitReached
async def refused():
    process = Artifacts(stack=1 << 18, timeout=60, memory=2 << 30, workers=1)._spawn()
    process._answer_limit = 10
    await process.start()
    try:
        await process.ask(b"T(module (memory 1) (data (i32.const 0) \\"" + b"x" * 1_000_000 + b"\\"))", 60)
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


def test_a_process_that_answers_too_much_leaves_no_descriptor() -> None:
    """On the event loop that `faas serve` has: asyncio's own closes a pipe that was not read to its end."""
    run = subprocess.run([sys.executable, "-c", DESCRIPTORS], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr

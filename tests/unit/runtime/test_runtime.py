"""The runtime: guests run beside the event loop and beside each other, and nothing of one reaches another."""

import asyncio
import time
from pathlib import Path

import pytest

from faas.runtime import Limits, Precompiler, Runtime
from faas.runtime.epoch_ticker import LATE_TICK_SECONDS
from faas.runtime.hand_off import GREATEST_QUICK_SECONDS
from faas.runtime.instance import Instance
from tests.helpers.guests import SHORT_LIMITS, run_module
from tests.helpers.support import LOOP_WAT, core_wat, eventually, wat


async def test_runtime_endless_loops_block_neither_the_event_loop_nor_other_executions(runtime: Runtime) -> None:
    for module in (LOOP_WAT, core_wat()):  # precompiling them takes longer than the loops run
        assert await runtime.check(wat(module)) is None
    loops = [asyncio.create_task(run_module(runtime, LOOP_WAT, limits=SHORT_LIMITS)) for _ in range(4)]
    await asyncio.sleep(0.05)
    finished_beside_the_loops = 0
    while not any(loop.done() for loop in loops):
        await asyncio.sleep(0)  # an inline execution does not yield to the event loop
        assert (await run_module(runtime, core_wat(), b'{"n":1}')).output == b'{"n":1}'
        finished_beside_the_loops += 1
    for outcome in await asyncio.gather(*loops):
        assert outcome.error == "time limit of 300ms exceeded"
    assert finished_beside_the_loops >= 3


async def test_runtime_output_never_reaches_another_execution(runtime: Runtime) -> None:
    async def one(number: int) -> None:
        input_json = b'{"n":%d}' % number
        for _ in range(10):
            assert (await run_module(runtime, core_wat(), input_json)).output == input_json

    await asyncio.gather(*(one(number) for number in range(16)))


async def test_runtime_interrupt_ends_every_guest_with_a_reason() -> None:
    limits = Limits(time=60, memory=1 << 20, stack=256 << 10, input=1000, output=1000, logs=1000)
    precompiler = Precompiler(stack=limits.stack, timeout=60, memory=2 << 30, workers=2)
    async with Runtime(limits, precompiler, threads=4, cached_modules=4) as runtime:
        loops = [asyncio.create_task(run_module(runtime, LOOP_WAT)) for _ in range(3)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        runtime.interrupt()
        outcomes = await asyncio.gather(*loops)
        assert {outcome.error for outcome in outcomes} == {"interrupted: the server shut down"}
        assert time.monotonic() - began < 10  # of their limit of 60


async def test_runtime_close_releases_its_address_space() -> None:
    """Address space is 128 TiB: a hundred runtimes that wait for the garbage collector would use it up."""

    def reserved() -> int:
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(fields["VmSize"].split()[0]) >> 20  # GiB

    limits = Limits(time=1, memory=16 << 20, stack=256 << 10, input=1 << 20, output=1 << 20, logs=2000)
    before = reserved()
    for _ in range(3):
        precompiler = Precompiler(stack=limits.stack, timeout=60, memory=2 << 30, workers=1)
        before_this = reserved()
        runtime = Runtime(limits, precompiler, threads=64, cached_modules=4)
        assert reserved() > before_this + 100
        async with runtime:
            assert (await run_module(runtime, core_wat(), b'{"n":1}')).output == b'{"n":1}'

    async def still_reserved() -> int:
        return reserved()

    await eventually(still_reserved, lambda found: found < before + 100)


@pytest.mark.parametrize(("ticks", "attempts"), [(1, 1), (2, 3)])
async def test_runtime_inline_guest_is_ended_by_the_second_tick(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, ticks: int, attempts: int
) -> None:
    """Two attempts inline, and one in a thread: what it took to delete their instances is not the guests' time."""

    async def runs_inline() -> bool:  # after three quick executions
        return (await run_module(runtime, core_wat())).inline

    await eventually(runs_inline)
    monkeypatch.setattr(runtime._hand_off, "quick_seconds", GREATEST_QUICK_SECONDS)  # ten times what a call takes here
    began: list[Instance] = []
    write, close = Instance.write, Instance.close

    def write_late(instance: Instance, start: int, data: bytes) -> bool:
        began.append(instance)
        if len(began) < 3:
            runtime.epoch_ticker.advance(ticks)
        return write(instance, start, data)

    def close_slowly(instance: Instance) -> None:
        close(instance)
        until = time.thread_time() + 2 * GREATEST_QUICK_SECONDS
        while time.thread_time() < until:
            pass

    monkeypatch.setattr(Instance, "write", write_late)
    monkeypatch.setattr(Instance, "close", close_slowly)
    with runtime.epoch_ticker:
        runtime.epoch_ticker.pause_timer()
        await asyncio.sleep(LATE_TICK_SECONDS)  # in which the last tick of the timer may still come
        outcome = await run_module(runtime, core_wat(), b"5")
    assert outcome.output == b"5"
    assert len(began) == attempts
    assert outcome.inline == (attempts == 1)

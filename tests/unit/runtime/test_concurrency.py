"""Several guests at once: they run beside the event loop, and nothing of one reaches another."""

import asyncio
import time

import pytest
from tests.support import LOOP_WAT, core_wat
from tests.unit.runtime.test_core_abi import call

from faas.runtime import Limits, Runtime


async def test_endless_loops_hold_up_neither_the_event_loop_nor_other_calls(runtime: Runtime) -> None:
    loops = [asyncio.create_task(call(runtime, LOOP_WAT)) for _ in range(4)]
    await asyncio.sleep(0.05)
    finished_beside = 0
    while not any(loop.done() for loop in loops):
        assert (await call(runtime, core_wat(), b'{"n":1}')).output == b'{"n":1}'
        finished_beside += 1
    for outcome in await asyncio.gather(*loops):
        assert outcome.error == "time limit of 300ms exceeded"
    assert finished_beside >= 3


async def test_results_never_reach_another_call(runtime: Runtime) -> None:
    async def one(number: int) -> None:
        document = b'{"n":%d}' % number
        for _ in range(10):
            assert (await call(runtime, core_wat(), document)).output == document

    await asyncio.gather(*(one(number) for number in range(16)))


async def test_callers_that_come_together_compile_once(runtime: Runtime) -> None:
    loads = 0
    from tests.support import wat

    from faas.runtime import Outcome

    binary = wat(core_wat())

    async def load() -> bytes:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.01)
        return binary

    outcomes = await asyncio.gather(*(runtime.run(b"digest", load, b"{}") for _ in range(8)))
    assert outcomes == [Outcome(output=b"{}")] * 8
    assert loads == 1


async def test_a_module_that_could_not_be_loaded_is_asked_for_again(runtime: Runtime) -> None:
    from tests.support import wat

    async def broken() -> bytes:
        raise OSError("away")

    async def whole() -> bytes:
        return wat(core_wat())

    with pytest.raises(OSError, match="away"):
        await runtime.run(b"digest", broken, b"{}")
    assert (await runtime.run(b"digest", whole, b"{}")).output == b"{}"


async def test_an_interrupt_ends_every_call_with_a_reason() -> None:
    limits = Limits(time=60, memory=1 << 20, stack=256 << 10, input=1000, output=1000, logs=1000)
    async with Runtime(limits, threads=4, cached_modules=4) as runtime:
        loops = [asyncio.create_task(call(runtime, LOOP_WAT)) for _ in range(3)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        runtime.interrupt()
        outcomes = await asyncio.gather(*loops)
        assert {outcome.error for outcome in outcomes} == {"interrupted: the server shut down"}
        assert time.monotonic() - began < 10  # of the 60 that they might have had

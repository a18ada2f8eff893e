"""The epoch ticker: time limits hold although guests keep the GIL busy or the timer fails; an idle server sleeps."""

import asyncio
import ctypes
import time

import pytest
from wasmtime import _ffi

from faas.runtime import epoch_ticker
from faas.runtime.instance_pool import InstancePool
from tests.helpers.guests import SHORT_LIMITS, SMALL_LIMITS, assemblyscript_module, run_module, small_runtime
from tests.helpers.support import LOOP_WAT, core_wat, eventually, wat


@pytest.mark.alone
async def test_epoch_ticker_keeps_the_time_limit_of_guests_that_only_call_the_host() -> None:
    """Host functions are Python and hold the GIL, and the event loop still gets it."""
    calling = assemblyscript_module(
        "(loop (drop (call $now)) (br 0)) unreachable", imports='(import "env" "Date.now" (func $now (result f64)))'
    )
    async with small_runtime(threads=17) as runtime:  # all loops run at once, and one thread is left for the others
        for module in (calling, wat(core_wat())):  # precompiling them may take longer than the loops run
            assert await runtime.check(module) is None
        limits = runtime.limits.narrowed(2.0, None)  # 16 guests take turns with the GIL: some turns for the others

        began = time.monotonic()
        loops = [asyncio.create_task(run_module(runtime, calling, limits=limits)) for _ in range(16)]
        finished_beside_the_loops = 0
        while not all(running.done() for running in loops):
            await asyncio.sleep(0)  # an inline execution does not yield to the event loop
            assert (await run_module(runtime, core_wat(), b"{}")).output == b"{}"
            finished_beside_the_loops += 1
        assert {ended.result().error for ended in loops} == {"time limit of 2s exceeded"}
        assert time.monotonic() - began < 10  # it was 15 s for a limit of 3 s, and unbounded above
        assert finished_beside_the_loops >= 6


async def test_epoch_ticker_needs_no_gil() -> None:
    """A guest in a thread uses a processor until its time limit, and no longer, while something else has the GIL."""
    async with small_runtime() as runtime:
        await run_module(runtime, LOOP_WAT, limits=SHORT_LIMITS)  # what it needs is loaded then
        looping = asyncio.create_task(run_module(runtime, LOOP_WAT, limits=runtime.limits.narrowed(1.0, None)))
        began = time.process_time()
        while time.process_time() - began < 0.1:
            await asyncio.sleep(0.01)
        began, kept_from = time.process_time(), time.monotonic()
        ctypes.PyDLL(None).usleep(2_500_000)  # PyDLL keeps the GIL
        assert time.process_time() - began < 1.75
        assert time.monotonic() - kept_from >= 2.5
        assert (await looping).error == "time limit of 1s exceeded"


async def test_epoch_ticker_watchdog_keeps_the_time_limit_without_the_timer() -> None:
    """The C library makes a thread for each tick; where the process may have no more threads, there is no tick."""
    async with small_runtime() as runtime:
        await run_module(runtime, core_wat())
        looping = asyncio.create_task(run_module(runtime, LOOP_WAT, limits=SHORT_LIMITS))
        await asyncio.sleep(0.05)
        runtime.epoch_ticker.pause_timer()
        assert (await asyncio.wait_for(looping, 30)).error == "time limit of 300ms exceeded"


async def test_epoch_ticker_stops_when_idle_and_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch_ticker, "IDLE_GRACE_SECONDS", 0.05)

    async with small_runtime() as runtime:

        async def ticking() -> bool:
            return runtime.epoch_ticker.ticking

        assert not await ticking()
        for _ in range(2):
            looping = asyncio.create_task(run_module(runtime, LOOP_WAT, limits=SHORT_LIMITS))
            await eventually(ticking)
            assert (await looping).error == "time limit of 300ms exceeded"
            await eventually(ticking, lambda found: not found)


async def test_epoch_ticker_keeps_the_engine_for_a_tick_that_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epoch_ticker, "LATE_TICK_SECONDS", 0.1)
    pool = InstancePool(SMALL_LIMITS, instances=1)
    timer = pool.epoch_ticker._timer
    released = asyncio.Event()
    delete = _ffi.wasm_engine_delete

    def watched(engine: object) -> None:
        delete(engine)
        if engine is timer._reference:
            released.set()

    monkeypatch.setattr(_ffi, "wasm_engine_delete", watched)
    with pool.epoch_ticker:
        pool.epoch_ticker.close()
    pool.close()
    assert not released.is_set()
    _ffi.dll.wasmtime_engine_increment_epoch(timer._reference)  # as a thread of the C library does
    await asyncio.wait_for(released.wait(), 60)

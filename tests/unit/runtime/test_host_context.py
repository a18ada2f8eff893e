"""Host functions: an exception in one is recorded in its own execution, and nowhere else."""

import asyncio

import pytest

from faas.runtime import Runtime
from faas.runtime.host_context import HostContext, Interruption
from faas.runtime.limits import Limits
from tests.helpers.guests import assemblyscript_module, run_module


async def test_host_function_exception_does_not_pass_through_webassembly(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """wasmtime-py would raise it in another execution (see runtime/host_context.py)."""

    def broken(_context: HostContext, _level: str, _text: str) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(HostContext, "log", broken)
    printing = assemblyscript_module(
        "(call $log (i32.const 1024)) (local.get 0)",
        imports='(import "env" "console.log" (func $log (param i32)))',
        strings={1024: "x"},
    )
    outcomes = await asyncio.gather(*(run_module(runtime, printing, b'{"n":%d}' % n) for n in range(200)))
    assert [outcome.output for outcome in outcomes] == [b'{"n":%d}' % n for n in range(200)]


def test_sleep_past_the_time_limit_fails_the_execution() -> None:
    """Also where the epoch is late, and the guest goes on after the sleep that was cut."""
    limits = Limits(time=0.05, memory=1 << 20, stack=1 << 20, input=1, output=1, logs=1)
    context = HostContext(limits, Interruption())
    assert context.sleep(60)
    assert context.aborted == "time limit of 50ms exceeded"


def test_sleep_within_the_time_limit_ends_by_itself() -> None:
    context = HostContext(Limits(time=60, memory=1 << 20, stack=1 << 20, input=1, output=1, logs=1), Interruption())
    assert context.sleep(0.01)
    assert context.aborted is None


def test_request_that_ends_with_the_time_limit_fails_the_execution() -> None:
    """The guest is woken by its request just before the epoch ends it, and must not report that one as the reason."""
    limits = Limits(time=0.001, memory=1 << 20, stack=1 << 20, input=1, output=1, logs=1)
    context = HostContext(limits, Interruption())
    assert context.session()
    assert context._wake
    context._wake.set()
    assert context.sleep(60)
    assert (context.aborted, context.timed_out) == ("time limit of 1ms exceeded", True)


def test_sleep_ends_at_a_shutdown_without_an_error_of_its_own() -> None:
    interrupted = Interruption()
    interrupted.set()
    context = HostContext(Limits(time=10, memory=1 << 20, stack=1 << 20, input=1, output=1, logs=1), interrupted)
    assert context.sleep(60)
    assert context.aborted is None


def test_sleep_is_refused_on_the_event_loop() -> None:
    context = HostContext(Limits(time=10, memory=1 << 20, stack=1 << 20, input=1, output=1, logs=1))
    assert not context.sleep(0.01)
    assert context.thread_needed

"""Host functions: an exception in one is recorded in its own execution, and nowhere else."""

import asyncio

import pytest

from faas.runtime import Runtime
from faas.runtime.host_context import HostContext
from tests.helpers.guests import assemblyscript_module, run_module


async def test_host_function_exception_does_not_pass_through_webassembly(
    patient_runtime: Runtime, monkeypatch: pytest.MonkeyPatch
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
    outcomes = await asyncio.gather(*(run_module(patient_runtime, printing, b'{"n":%d}' % n) for n in range(200)))
    assert [outcome.output for outcome in outcomes] == [b'{"n":%d}' % n for n in range(200)]

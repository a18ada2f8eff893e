"""The core convention: the outputs of valid modules, and the error message for each kind of invalid one."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from faas.runtime import Outcome, Runtime
from tests.helpers.guests import limits_for, little_work, run_module
from tests.helpers.support import LOOP_WAT, core_wat, returning_wat, wat


async def test_core_output_is_what_handle_returned(runtime: Runtime) -> None:
    document = b'{"b": 1.0e400, "a": "\\u0000 \xc3\xa9"}'
    assert await run_module(runtime, core_wat(), document) == Outcome(output=document)


@hypothesis_settings(max_examples=30)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=500))
async def test_core_passes_any_utf8_both_ways(runtime: Runtime, text: str) -> None:
    import msgspec

    document = msgspec.json.encode({"text": text})
    assert (await run_module(runtime, core_wat(), document)).output == document


VIOLATIONS = {
    "time": (LOOP_WAT, "time limit of 300ms exceeded"),
    "time in the start function": (
        core_wat(extra="(func $s (loop (br 0))) (start $s)"),
        "time limit of 300ms exceeded",
    ),
    "time in alloc": (core_wat(alloc="(loop (br 0)) unreachable"), "time limit of 300ms exceeded"),
    "stack": (core_wat("(call $handle (local.get 0) (local.get 1))"), "stack limit of 256 KiB exceeded in handle"),
    "memory at the start": (core_wat(memory="1000"), "memory limit of 16 MiB exceeded: the module asks for more"),
    "memory by growing": (
        core_wat(
            "(loop (if (i32.lt_s (memory.grow (i32.const 16)) (i32.const 0)) (then unreachable)) (br 0)) unreachable"
        ),
        "memory limit of 16 MiB exceeded",
    ),
    "output": (core_wat("(i64.const 0x0000000000200000)", memory="100"), "output limit of 1 MiB exceeded"),
    "division": (
        core_wat("(drop (i32.div_u (i32.const 1) (i32.const 0))) (i64.const 0)"),
        "trap: integer division by zero in handle",
    ),
    "memory access": (core_wat("(i64.load (i32.const -8))"), "trap: memory access out of bounds in handle"),
    "unreachable": (core_wat("unreachable"), "trap: unreachable code was reached in handle"),
    "an address outside": (
        core_wat("(i64.const 0x7fffffff00000010)"),
        "handle returned address 2147483647 and length 16, which lie outside its memory",
    ),
    "alloc out of bounds": (core_wat(alloc="(i32.const -1)"), "alloc(2) returned 4294967295, which leaves no room"),
    "not JSON": (
        returning_wat("hello"),
        "invalid JSON: JSON is malformed: invalid character (byte 0); the output begins: hello",
    ),
    "empty output": (
        core_wat("(i64.const 0)"),
        "invalid JSON: JSON is malformed: it ends too early; the output begins: ",
    ),
    "deep output": (returning_wat("[" * 501 + "]" * 501), "invalid JSON: nested deeper than 500 levels"),
    "invalid UTF-8": (
        core_wat("(i64.const 0x0000080000000003)", extra='(data (i32.const 2048) "\\22\\ff\\22")'),
        "invalid JSON: invalid UTF-8 at byte 1",
    ),
    "a huge table": (core_wat(extra="(table 200000 funcref)"), "the module cannot be started"),
}


@pytest.mark.parametrize("name", VIOLATIONS)
async def test_core_violation_has_an_error_message(runtime: Runtime, name: str) -> None:
    module, message = VIOLATIONS[name]
    limits = limits_for(message)
    with little_work(limits):
        outcome = await run_module(runtime, module, limits=limits)
    assert outcome.output is None
    assert outcome.error is not None
    assert message in outcome.error


async def test_core_every_execution_gets_a_fresh_instance(runtime: Runtime) -> None:
    counter = core_wat(
        "(global.set $n (i32.add (global.get $n) (i32.const 1)))"
        "(i32.store8 (i32.const 2048) (i32.add (i32.const 48) (global.get $n))) (i64.const 0x0000080000000001)",
        extra="(global $n (mut i32) (i32.const 0))",
    )
    assert [(await run_module(runtime, counter)).output for _ in range(3)] == [b"1", b"1", b"1"]


INVALID_MODULES = {
    "not WebAssembly": (b"\0asm junk", "not a valid WebAssembly module"),
    "empty": (b"", "not a valid WebAssembly module"),
    "no exports": (wat("(module)"), "follows no known calling convention"),
    "no handle": (
        wat('(module (memory (export "memory") 1) (func (export "alloc") (param i32) (result i32) (i32.const 0)))'),
        "does not follow the core convention: export handle (i32, i32) -> i64 is missing",
    ),
    "another type": (
        wat(
            '(module (memory (export "memory") 1) (func (export "alloc") (param i32) (result i32) (i32.const 0))'
            ' (func (export "handle") (param i32) (result i32) (i32.const 0)))'
        ),
        "export handle is (i32) -> i32, needed is (i32, i32) -> i64",
    ),
    "an import": (
        wat(core_wat(extra='(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))')),
        "import wasi_snapshot_preview1.fd_write is not provided; the imports provided: faas.env, faas.http",
    ),
    "shared memory": (wat(core_wat(memory="1 1 shared")), "not a valid WebAssembly module"),
}


@pytest.mark.parametrize("name", INVALID_MODULES)
async def test_core_check_says_what_an_invalid_module_lacks(runtime: Runtime, name: str) -> None:
    binary, message = INVALID_MODULES[name]
    fault = await runtime.check(binary)
    assert fault is not None
    assert message in fault


async def test_core_check_accepts_a_valid_module(runtime: Runtime) -> None:
    assert await runtime.check(wat(core_wat())) is None

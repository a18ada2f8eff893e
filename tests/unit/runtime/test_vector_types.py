"""Modules that pass vectors or typed references to the host are refused: wasmtime would end the process."""

import pytest

from faas.runtime import Outcome, Runtime
from faas.runtime.vector_types import passes_vectors
from tests.helpers.guests import run_module
from tests.helpers.support import core_wat, wat

VECTOR = "(v128.const i64x2 0 0)"
TABLE_AND_MEMORY = (
    '(import "env" "t" (table 1 2 funcref)) (import "env" "m" (memory 1)) (import "env" "g" (global i32))'
)


@pytest.mark.parametrize(
    "module",
    [
        '(module (func (export "x") (param v128)))',
        f'(module (func (export "x") (result v128) {VECTOR}))',
        f'(module (func (export "x") (param i32 i64) (result f32 v128) (f32.const 0) {VECTOR}))',
        '(module (import "env" "x" (func (param v128))))',
        f'(module {TABLE_AND_MEMORY} (import "env" "x" (func (param v128))))',
        f'(module {TABLE_AND_MEMORY} (import "env" "x" (func)) (func) (func (export "x") (param v128)))',
        '(module (import "env" "x" (func $x)) (func (param v128)) (func $y (param v128)) (export "y" (func $y)))',
    ],
)
def test_vector_types_are_found_in_exports_and_imports(module: str) -> None:
    assert passes_vectors(wat(module))


@pytest.mark.parametrize(
    "module",
    [
        "(module)",
        "(module (func (param v128)))",
        f'(module (global (export "g") v128 {VECTOR}))',
        f'(module {TABLE_AND_MEMORY} (import "env" "x" (func)) (func (param v128)) (export "x" (func 0)))',
        core_wat(extra="(func (param v128) (result v128) (local.get 0))"),
    ],
)
def test_vector_types_inside_a_module_are_no_problem(module: str) -> None:
    assert not passes_vectors(wat(module))


@pytest.mark.parametrize("binary", [b"", b"\0asm\1\0\0\0\1\x7f", wat("(module)") + b"\7\5\1\1x\0\x05"])
def test_vector_types_of_a_malformed_module_are_left_to_wasmtime(binary: bytes) -> None:
    assert not passes_vectors(binary)


async def test_module_that_exports_a_function_of_vectors_is_refused(runtime: Runtime) -> None:
    module = wat(core_wat(extra='(func (export "x") (param v128))'))
    reason = "an exported or imported function takes or returns a vector (v128), which the host cannot pass"
    assert await runtime.check(module) == reason


async def test_module_that_imports_a_function_of_vectors_is_refused(runtime: Runtime) -> None:
    module = core_wat().replace("(module", '(module (import "env" "x" (func (param v128)))', 1)
    assert "takes or returns a vector" in ((await run_module(runtime, module)).error or "")


async def test_module_with_vectors_inside_is_executed(runtime: Runtime) -> None:
    module = core_wat(extra=f"(func $v (result v128) {VECTOR})", body="(drop (call $v)) (i64.const 0x400_0000_0003)")
    assert await run_module(runtime, module, b'"x"') == Outcome(output=b'"x"')


@pytest.mark.parametrize(
    "what", ['(func (export "x") (param (ref $t)))', '(func (export "x") (result (ref null $t)) (ref.null $t))']
)
async def test_module_that_exports_a_function_of_typed_references_is_refused(runtime: Runtime, what: str) -> None:
    module = core_wat(extra=f"(type $t (func)) {what}")
    assert "not a valid WebAssembly module" in (await runtime.check(wat(module)) or "")

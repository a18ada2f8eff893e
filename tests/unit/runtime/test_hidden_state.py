"""State of an instance outside its memory and exported globals is found in engines."""

import hashlib

import pytest

from faas.runtime.hidden_state import hidden_state
from faas.runtime.images import Image, build
from tests.helpers.engines import engine_binary
from tests.helpers.guests import run_module, small_runtime
from tests.helpers.support import core_wat, wat

TABLE = "(table $t 4 8 funcref) (elem $passive func $f) (elem declare func $f) (func $f)"


def function(body: str, more: str = "") -> bytes:
    return wat(f'(module (memory 1) (data $passive "x") {more} (func (param $n i32) {body}))')


@pytest.mark.parametrize(
    "body",
    [
        "(table.set $t (i32.const 0) (ref.func $f))",
        "(table.init $t $passive (i32.const 0) (i32.const 0) (i32.const 1))",
        "(table.copy $t $t (i32.const 0) (i32.const 0) (i32.const 1))",
        "(drop (table.grow $t (ref.null func) (i32.const 1)))",
        "(table.fill $t (i32.const 0) (ref.null func) (i32.const 1))",
        "(elem.drop $passive)",
        "(memory.init $passive (i32.const 0) (i32.const 0) (i32.const 1))",
        "(data.drop $passive)",
    ],
)
@pytest.mark.parametrize("before", ["", "(block (block (br_table 0 1 0 1 (local.get $n))))", "(drop (i64.const -1))"])
def test_hidden_state_is_found_in_instructions(before: str, body: str) -> None:
    assert hidden_state(function(before, TABLE)) is None
    assert "has the instruction" in (hidden_state(function(before + body, TABLE)) or "")
    assert "has the instruction" in (hidden_state(function(body + before, TABLE)) or "")


@pytest.mark.parametrize(
    "body",
    [
        "(drop (i32.const 0x26)) (drop (i64.const 0x26fc0d)) (drop (f32.const 1e9)) (drop (f64.const -1e99))",
        "(block (block (br_table 0 1 0 1 0 (local.get $n)))) (block (br_table 0 (local.get $n)))",
        "(loop (br_if 0 (i32.eqz (local.get $n)))) (if (local.get $n) (then nop) (else unreachable))",
        "(drop (block (result i32) (select (result i32) (i32.const 1) (i32.const 2) (local.get $n))))",
        "(drop (select (i32.const 1) (i32.const 2) (local.get $n))) (drop (local.tee $n (i32.const 3))) (return)",
        "(call_indirect $t (param i32) (i32.const 1) (local.get $n)) (drop (table.get $t (i32.const 0)))",
        "(drop (table.size $t)) (drop (ref.null func)) (drop (ref.is_null (ref.func $f)))",
        "(i32.store offset=0x26000 align=1 (local.get $n) (i32.load8_s offset=38 (local.get $n)))",
        "(memory.fill (i32.const 0) (i32.const 0) (i32.const 9)) (drop (memory.grow (memory.size)))",
        "(memory.copy (i32.const 0) (i32.const 0) (i32.const 9)) (drop (i32.trunc_sat_f64_s (f64.const 1)))",
        "(drop (i32.extend8_s (i32.wrap_i64 (i64.extend_i32_u (local.get $n)))))",
        "(drop (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i64x2 38 252) (v128.const i64x2 1 2)))",
        "(drop (i32x4.extract_lane 3 (v128.load8_lane offset=38 7 (local.get $n) (v128.const i64x2 38 252))))",
        "(drop (f64x2.sqrt (v128.load64_zero (local.get $n)))) (drop (i32x4.relaxed_trunc_f32x4_s (v128.const i64x2 1 2)))",
        "(drop (i16x8.add (v128.const i64x2 1 2) (i32x4.splat (local.get $n))))",
    ],
)
def test_hidden_state_is_not_seen_in_other_instructions(body: str) -> None:
    assert hidden_state(function(body, TABLE)) is None


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("(module (global (mut i32) (i32.const 0)))", "does not export its mutable globals 0"),
        (
            """(module (import "env" "f" (func)) (global i64 (i64.const -5)) (global (export "x") (mut f64) (f64.const 1))
            (global (mut f32) (f32.const 1)) (global funcref (ref.null func)) (global (mut i64) (i64.const 0)))""",
            "globals 2, 4",
        ),
        ('(module (import "env" "t" (table 1 funcref)))', "imports more than functions"),
        ('(module (import "env" "f" (func)) (import "env" "g" (global (mut i32))))', "imports more than functions"),
        ("(module (global v128 (v128.const i64x2 1 2)))", "a global begins with"),
        ("(module (global i32 (i32.add (i32.const 1) (i32.const 1))))", "more than one instruction"),
    ],
)
def test_hidden_state_is_found_outside_the_code(module: str, reason: str) -> None:
    assert reason in (hidden_state(wat(module)) or "")


def test_hidden_state_engine_of_the_tests_has_none() -> None:
    assert hidden_state(engine_binary()) is None
    assert hidden_state(wat("(module)")) is None


async def test_engine_module_with_hidden_state_is_refused() -> None:
    binary = wat(core_wat(extra="(global (mut i32) (i32.const 0))"))

    async def load(_digest: bytes) -> bytes:
        return binary

    image = build(Image(engine=hashlib.sha256(binary).digest(), pages=1, segments=(), globals={}, contract="json"))
    async with small_runtime(load_engine=load) as runtime:
        outcome = await run_module(runtime, image)
        assert outcome.error == "the engine cannot be restored: it does not export its mutable globals 0"

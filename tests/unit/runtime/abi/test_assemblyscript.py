"""The AssemblyScript convention with modules written by hand: strings, host functions, and invalid pointers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.runtime import Runtime
from faas.runtime.abi.assemblyscript import decode_string, encode_string, without_escaped_slashes
from tests.helpers.guests import assemblyscript_module, run_module


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_assemblyscript_string_encoding_is_reversible(text: str) -> None:
    assert decode_string(encode_string(text)) == text


@given(st.binary())
def test_assemblyscript_string_decoding_raises_only_unicode_errors(data: bytes) -> None:
    try:
        decode_string(data)
    except UnicodeDecodeError:
        return


@given(st.lists(st.sampled_from(["/", "\\/", "\\\\", '\\"', "\\n", "\\u002f", "a", "é"])).map("".join))
def test_assemblyscript_escaped_slashes_are_replaced(text: str) -> None:
    document = f'{{"{text}":"{text}"}}'
    plain = without_escaped_slashes(document.encode())
    assert json.loads(plain) == json.loads(document)
    assert b"\\/" not in plain.replace(b"\\\\", b"")


async def test_assemblyscript_output_is_the_returned_string(runtime: Runtime) -> None:
    document = '{"é": "𝄞 \\u0000"}'.encode()
    assert (await run_module(runtime, assemblyscript_module("(local.get 0)"), document)).output == document


@pytest.mark.parametrize(
    ("handle", "strings", "message"),
    [
        ("(i32.const 0)", {}, "handle returned null, which is not a string"),
        ("(i32.const 4)", {}, "handle returned 4, which is not a string"),
        ("(i32.const -4)", {}, "which is not a string"),
        ("(i32.const 1024)", {}, "handle returned a value that is not a string"),
        ("(i32.const 1024)", {1024: b"\x22\x00\x00\xd8\x22\x00"}, "not valid UTF-16 (character 1)"),
        ("(i32.const 1024)", {1024: "hello"}, "invalid JSON"),
        ("unreachable", {}, "trap: unreachable code was reached"),
    ],
)
async def test_assemblyscript_result_that_is_not_a_string_has_an_error_message(
    runtime: Runtime, handle: str, strings: dict[int, str | bytes], message: str
) -> None:
    outcome = await run_module(runtime, assemblyscript_module(handle, strings=strings))
    assert outcome.error is not None
    assert message in outcome.error


async def test_assemblyscript_abort_message_has_line_and_column(runtime: Runtime) -> None:
    aborting = assemblyscript_module(
        "(call $abort (i32.const 1024) (i32.const 1124) (i32.const 3) (i32.const 5)) unreachable",
        imports='(import "env" "abort" (func $abort (param i32 i32 i32 i32)))',
        strings={1024: "too few apples", 1124: "function.ts"},
    )
    assert (await run_module(runtime, aborting)).error == "abort: too few apples in function.ts(3,5)"


async def test_assemblyscript_abort_with_invalid_pointers_is_harmless(runtime: Runtime) -> None:
    aborting = assemblyscript_module(
        "(call $abort (i32.const -1) (i32.const 131072) (i32.const -3) (i32.const 5)) unreachable",
        imports='(import "env" "abort" (func $abort (param i32 i32 i32 i32)))',
    )
    assert (await run_module(runtime, aborting)).error == "abort: no message in (4294967293,5)"


async def test_assemblyscript_abort_fails_the_execution_even_if_the_guest_goes_on(runtime: Runtime) -> None:
    surviving = assemblyscript_module(
        "(call $abort (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (local.get 0)",
        imports='(import "env" "abort" (func $abort (param i32 i32 i32 i32)))',
    )
    assert (await run_module(runtime, surviving)).error == "abort: no message"


async def test_assemblyscript_console_is_kept_up_to_the_log_limit(runtime: Runtime) -> None:
    printing = assemblyscript_module(
        "(loop $again (call $log (i32.const 1024)) (br_if $again (i32.lt_u (global.get $n) (i32.const 1000))"
        " (global.set $n (i32.add (global.get $n) (i32.const 1))))) (local.get 0)",
        imports='(import "env" "console.log" (func $log (param i32))) (global $n (mut i32) (i32.const 0))',
        strings={1024: "a line\0"},
    )
    logs = (await run_module(runtime, printing)).logs
    assert logs is not None
    assert logs.startswith("a line\\u0000\na line")
    assert logs.endswith("… cut: the log limit is reached")
    assert len(logs) < 4000


async def test_assemblyscript_check_names_an_unknown_import(runtime: Runtime) -> None:
    fault = await runtime.check(
        assemblyscript_module("(local.get 0)", imports='(import "env" "fetch" (func (param i32)))')
    )
    assert fault is not None
    assert "import env.fetch is not provided; the imports provided: env.abort" in fault


async def test_assemblyscript_check_refuses_an_import_of_another_type(runtime: Runtime) -> None:
    fault = await runtime.check(assemblyscript_module("(local.get 0)", imports='(import "env" "abort" (func))'))
    assert fault == "import env.abort has another type; provided is (i32, i32, i32, i32) -> ()"

"""The AssemblyScript convention by hand-made modules: the codec, the imports, and modules that lie."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.runtime import Runtime
from faas.runtime.abi.assemblyscript import decode, encode, without_escaped_slashes
from tests.helpers.support import wat
from tests.unit.runtime.test_core_abi import call


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_strings_read_back(text: str) -> None:
    assert decode(encode(text)) == text


@given(st.binary())
def test_decoding_raises_nothing_but_unicode_errors(data: bytes) -> None:
    try:
        decode(data)
    except UnicodeDecodeError:
        return


@given(st.lists(st.sampled_from(["/", "\\/", "\\\\", '\\"', "\\n", "\\u002f", "a", "é"])).map("".join))
def test_an_escaped_slash_is_the_same_as_a_plain_one(text: str) -> None:
    document = f'{{"{text}":"{text}"}}'
    plain = without_escaped_slashes(document.encode())
    assert json.loads(plain) == json.loads(document)
    assert b"\\/" not in plain.replace(b"\\\\", b"")


def module(handle: str, *, imports: str = "", strings: dict[int, str | bytes] | None = None) -> bytes:
    """A module with AssemblyScript's exports. `strings` are objects of class 2 at these addresses."""
    data = ""
    for address, text in (strings or {}).items():
        body = encode(text) if isinstance(text, str) else text
        whole = struct.pack("<II", 2, len(body)) + body
        data += f'(data (i32.const {address - 8}) "{"".join(f"{chr(92)}{byte:02x}" for byte in whole)}")'
    return wat(f"""(module {imports} {data}
        (memory (export "memory") 2)
        (func (export "__new") (param i32 i32) (result i32)
            (i32.store (i32.const 65528) (local.get 1)) (i32.store (i32.const 65532) (local.get 0)) (i32.const 65536))
        (func (export "__pin") (param i32) (result i32) (local.get 0))
        (func (export "__unpin") (param i32))
        (func (export "handle") (param i32) (result i32) {handle}))""")


async def test_the_string_that_handle_returns_is_the_output(runtime: Runtime) -> None:
    document = '{"é": "𝄞 \\u0000"}'.encode()
    assert (await call(runtime, module("(local.get 0)"), document)).output == document


@pytest.mark.parametrize(
    ("handle", "strings", "message"),
    [
        ("(i32.const 0)", {}, "handle returned null, which is no string"),
        ("(i32.const 4)", {}, "handle returned 4, which is no string"),
        ("(i32.const -4)", {}, "which is no string"),
        ("(i32.const 1024)", {}, "handle returned something that is no string"),
        ("(i32.const 1024)", {1024: b"\x22\x00\x00\xd8\x22\x00"}, "not valid UTF-16 (character 1)"),
        ("(i32.const 1024)", {1024: "hello"}, "invalid JSON"),
        ("unreachable", {}, "trap: unreachable code was reached"),
    ],
)
async def test_what_is_no_string_is_told(
    runtime: Runtime, handle: str, strings: dict[int, str | bytes], message: str
) -> None:
    outcome = await call(runtime, module(handle, strings=strings))
    assert outcome.error is not None
    assert message in outcome.error


async def test_abort_gives_its_message_with_line_and_column(runtime: Runtime) -> None:
    aborting = module(
        "(call $abort (i32.const 1024) (i32.const 1124) (i32.const 3) (i32.const 5)) unreachable",
        imports='(import "env" "abort" (func $abort (param i32 i32 i32 i32)))',
        strings={1024: "too few apples", 1124: "function.ts"},
    )
    assert (await call(runtime, aborting)).error == "abort: too few apples in function.ts(3,5)"


async def test_an_abort_with_lying_pointers_harms_nobody(runtime: Runtime) -> None:
    aborting = module(
        "(call $abort (i32.const -1) (i32.const 131072) (i32.const -3) (i32.const 5)) unreachable",
        imports='(import "env" "abort" (func $abort (param i32 i32 i32 i32)))',
    )
    assert (await call(runtime, aborting)).error == "abort: no message in (4294967293,5)"


async def test_an_abort_that_the_guest_survives_is_still_a_failure(runtime: Runtime) -> None:
    surviving = module(
        "(call $abort (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (local.get 0)",
        imports='(import "env" "abort" (func $abort (param i32 i32 i32 i32)))',
    )
    assert (await call(runtime, surviving)).error == "abort: no message"


async def test_console_is_kept_up_to_its_limit(runtime: Runtime) -> None:
    printing = module(
        "(loop $again (call $log (i32.const 1024)) (br_if $again (i32.lt_u (global.get $n) (i32.const 1000))"
        " (global.set $n (i32.add (global.get $n) (i32.const 1))))) (local.get 0)",
        imports='(import "env" "console.log" (func $log (param i32))) (global $n (mut i32) (i32.const 0))',
        strings={1024: "a line\0"},
    )
    logs = (await call(runtime, printing)).logs
    assert logs is not None
    assert logs.startswith("a line\\u0000\na line")
    assert logs.endswith("… cut: the log limit is reached")
    assert len(logs) < 4000


async def test_an_import_that_nobody_provides_is_named(runtime: Runtime) -> None:
    fault = await runtime.check(module("(local.get 0)", imports='(import "env" "fetch" (func (param i32)))'))
    assert fault is not None
    assert "import env.fetch is not provided; the imports provided: env.abort" in fault


async def test_an_import_of_another_type_is_told(runtime: Runtime) -> None:
    fault = await runtime.check(module("(local.get 0)", imports='(import "env" "abort" (func))'))
    assert fault == "import env.abort has another type; provided is (i32, i32, i32, i32) -> ()"


async def test_a_host_function_that_breaks_breaks_only_itself(
    patient_runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a host function raises is recorded: it must not travel through wasm (see runtime/session.py)."""
    import asyncio

    from faas.runtime.host_context import Session

    def broken(_session: Session, _level: str, _text: str) -> None:
        raise RuntimeError("a bug of ours")

    monkeypatch.setattr(Session, "log", broken)
    printing = module(
        "(call $log (i32.const 1024)) (local.get 0)",
        imports='(import "env" "console.log" (func $log (param i32)))',
        strings={1024: "x"},
    )
    outcomes = await asyncio.gather(*(call(patient_runtime, printing, b'{"n":%d}' % n) for n in range(200)))
    assert [outcome.output for outcome in outcomes] == [b'{"n":%d}' % n for n in range(200)]

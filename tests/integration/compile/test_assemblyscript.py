"""The AssemblyScript compiler and Wizer: compiled functions run as written; errors have line and column."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from faas.compile.languages.assemblyscript import AssemblyScriptCompiler
from faas.compile.outcome import Compiled, CompileFailure
from faas.runtime import Limits, Outcome, Runtime
from faas.runtime.reach import Reach
from tests.helpers.echo_server import echo_server
from tests.helpers.guests import SHORT_LIMITS, limits_for, little_work, run_module
from tests.helpers.outbound import open_loopback_session
from tests.helpers.support import ECHO_TS

ADD_TS = """import { JSON } from "json-as";
@json class Input { a: f64 = 0; b: f64 = 0; }
@json class Output { sum: f64 = 0; }
export function handle(input: string): string {
  const asked = JSON.parse<Input>(input);
  console.log("adding");
  console.warn("carefully");
  const answer = new Output();
  answer.sum = asked.a + asked.b;
  return JSON.stringify(answer);
}
"""


async def run(
    compiler: AssemblyScriptCompiler,
    runtime: Runtime,
    source: str,
    document: bytes = b"{}",
    limits: Limits | None = None,
) -> Outcome:
    compiled = await compiler.compile(source)
    assert isinstance(compiled, Compiled), compiled
    assert await runtime.check(compiled.binary) is None
    with little_work(limits or runtime.limits):
        return await run_module(runtime, compiled.binary, document, limits=limits)


async def test_assemblyscript_json_as_parses_and_serializes(compiler: AssemblyScriptCompiler, runtime: Runtime) -> None:
    outcome = await run(compiler, runtime, ADD_TS, b'{"a": 1, "b": 2.5}')
    assert outcome == Outcome(output=b'{"sum":3.5}', logs="adding\nwarn: carefully")


async def test_assemblyscript_json_as_keeps_every_character(compiler: AssemblyScriptCompiler, runtime: Runtime) -> None:
    """Including surrogate pairs, which the faster modes of json-as split, and escaped slashes."""
    source = """import { JSON } from "json-as";
    @json class Text { s: string = ""; }
    export function handle(input: string): string { return JSON.stringify(JSON.parse<Text>(input)); }"""
    compiled = await compiler.compile(source)
    assert isinstance(compiled, Compiled)
    digest, binary = hashlib.sha256(compiled.binary).digest(), compiled.binary

    async def load() -> bytes:
        return binary

    for written in ("😀", "\\ud83d\\ude00", "\\/", "\\\\/", "é\u2028", '\\"', "\\b\\f\\n\\r\\t", "\\u001f"):
        for before in range(9):
            for after in range(9):
                document = f'{{"s":"{"x" * before}{written}{"y" * after}"}}'
                output = (await runtime.run(digest, load, document.encode())).output
                assert output is not None, document
                assert json.loads(output) == json.loads(document), document


async def test_assemblyscript_any_text_round_trips(compiler: AssemblyScriptCompiler, runtime: Runtime) -> None:
    document = '{"text": "é 𝄞 \\u0000 \\ud834\\udd1e", "n": 1.0e400}'.encode()
    assert (await run(compiler, runtime, ECHO_TS, document)).output == document


async def test_assemblyscript_imports(compiler: AssemblyScriptCompiler, runtime: Runtime) -> None:
    source = """export function handle(input: string): string {
      trace("traced", 2, 1.5, 2.5);
      console.assert(false, "not so");
      console.time("t"); console.timeEnd("t");
      const now = Date.now(); const random = Math.random(); const clock = performance.now();
      return (now > 1600000000000 && random >= 0 && random < 1 && clock >= 0).toString();
    }"""
    outcome = await run(compiler, runtime, source)
    assert outcome.output == b"true"
    assert outcome.logs is not None
    assert outcome.logs.startswith("trace: traced 1.5 2.5\nerror: Assertion failed: not so\n")


async def test_assemblyscript_random_numbers_differ_between_executions(
    compiler: AssemblyScriptCompiler, runtime: Runtime
) -> None:
    source = "export function handle(input: string): string { return Math.random().toString(); }"
    assert (await run(compiler, runtime, source)).output != (await run(compiler, runtime, source)).output


FAILING = {
    "throw": ('throw new Error("too few apples");', "abort: too few apples in function.ts(2,1)"),
    "assert": (
        'assert(input.length > 99, "input is short"); return input;',
        "abort: input is short in function.ts(2,1)",
    ),
    "index": ("return [input][input.length];", "abort: Index out of range in ~lib/array.ts("),
    "null": ("return changetype<string>(0);", "handle returned null, which is not a string"),
    "no string": ("return changetype<string>([1, 2]);", "handle returned a value that is not a string"),
    "no JSON": (
        'return "hello";',
        "invalid JSON: JSON is malformed: invalid character (byte 0); the output begins: hello",
    ),
    "lone surrogate": ('return "\\"" + String.fromCharCode(0xd800) + "\\"";', "not valid UTF-16 (character 1)"),
    "endless loop": ("while (true) {} return input;", "time limit of 300ms exceeded"),
    "endless recursion": ("return handle(input);", "limit of"),
    "stack": ("return input + deep(input.length).toString();", "stack limit of 256 KiB exceeded in"),
    "memory": (
        "const all: StaticArray<u8>[] = []; while (true) all.push(new StaticArray<u8>(1 << 20)); return input;",
        "memory limit of 16 MiB exceeded",
    ),
    "memory at once": ("return new StaticArray<u8>(64 << 20).length.toString();", "memory limit of 16 MiB exceeded"),
    "output": ('return "\\"" + "x".repeat(1 << 21) + "\\"";', "output limit of 1 MiB exceeded"),
    "bad input": (
        'return JSON.parse<Point>("[1]").x.toString();',
        "abort: Incomplete or malformed JSON value in ~lib/json-as/",
    ),
}


@pytest.mark.parametrize("name", FAILING)
async def test_assemblyscript_runtime_errors_are_reported(
    compiler: AssemblyScriptCompiler, runtime: Runtime, name: str
) -> None:
    body, message = FAILING[name]
    source = f"""export function handle(input: string): string {{
{body} }}
function deep(n: i32): i32 {{ return n > 1 << 30 ? 1 : deep(n + 1) ^ n; }}
"""
    if "Point" in body:
        source = 'import { JSON } from "json-as";\n@json class Point { x: f64 = 0; }\n' + source
    outcome = await run(compiler, runtime, source, limits=limits_for(message))
    assert outcome.output is None
    assert outcome.error is not None
    assert message in outcome.error


async def test_assemblyscript_diagnostics_have_line_and_column(compiler: AssemblyScriptCompiler) -> None:
    source = 'import { JSON } from "json-as";\n@json class A { n: i32 = 0; }\nexport function handle(input: string): string {\n'
    answer = await compiler.compile(source + '  const n: i32 = "five";\n  return nowhere;\n}\n')
    assert isinstance(answer, CompileFailure)
    assert "function.ts(4,18)" in answer.diagnostics
    assert "function.ts(5,10)" in answer.diagnostics
    assert "Cannot find name 'nowhere'" in answer.diagnostics
    for private in ("/", "file:", "node:"):
        assert private not in answer.diagnostics.replace("~lib/string/", "")


@pytest.mark.parametrize(
    ("source", "diagnostic"),
    [
        ("export function handle(input: string {", "function.ts(1,"),
        ('import { x } from "./../../../../etc/passwd"; export const y = x;', "File '../../../../etc/passwd.ts' not found"),
        ('import { x } from "/etc/passwd"; export const y = x;', "not found"),
        ('import "fs"; import "./worker.mjs";', "not found"),
        ("", "the source exports 'nothing', and no function 'handle'; write `export function handle(input: string)"),
        ("export function handle(a: i32, b: i32): i32 { return a; }", "function 'handle' has 2 parameters, needed is one"),
        ('@external("env", "fetch") declare function f(): void; export function handle(s: string): string { f(); return s }',
         "import env.fetch is not provided"),
    ],
)  # fmt: skip
async def test_assemblyscript_invalid_functions_are_reported(
    compiler: AssemblyScriptCompiler, runtime: Runtime, source: str, diagnostic: str
) -> None:
    answer = await compiler.compile(source or "export const nothing = 1;")
    told = answer.diagnostics if isinstance(answer, CompileFailure) else await runtime.check(answer.binary)
    assert told is not None
    assert diagnostic in told


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\x85", "\r", "\x0b", "\ufeff", "\x1a"])
async def test_assemblyscript_unusual_characters_in_sources(
    compiler: AssemblyScriptCompiler, runtime: Runtime, character: str
) -> None:
    """Some of them are line ends for some readers; comments and strings may contain them."""
    source = (
        f"export function handle(input: string): string {{ return '\"a' + `{character}`.length.toString() + '\"'; }}"
    )
    compiled = await compiler.compile(source)
    assert isinstance(compiled, Compiled), compiled
    assert isinstance(await compiler.compile(f"// {character}\n" + ECHO_TS), Compiled)


async def test_assemblyscript_long_diagnostics_are_truncated(compiler: AssemblyScriptCompiler) -> None:
    line = "export function handle(input: string): string { " + "const a: i32 = 'x'; " * 3000 + "return input; }"
    answer = await compiler.compile(line)
    assert isinstance(answer, CompileFailure)
    assert "function.ts(1," in answer.diagnostics
    assert len(answer.diagnostics) <= 64 << 10


async def test_assemblyscript_compilations_are_isolated(compiler: AssemblyScriptCompiler, runtime: Runtime) -> None:
    await compiler.compile(
        "export function handle(input: string): string { return other(); } function other(): string { return 'x' }"
    )
    answer = await compiler.compile("export function handle(input: string): string { return other(); }")
    assert isinstance(answer, CompileFailure)
    assert "Cannot find name 'other'" in answer.diagnostics
    assert (await run(compiler, runtime, ECHO_TS)).output == b"{}"


INITIALIZED = {
    "a constant": ("const table = new Map<i32, i32>(); for (let i = 0; i < 100; i++) table.set(i, i * i);", True),
    "the clock": ("const table = new Map<i32, i32>(); table.set(9, <i32>(Date.now() * 0) + 81);", False),
    "chance": ("const table = new Map<i32, i32>(); table.set(9, <i32>(Math.random() * 0.1) + 81);", False),
    "a message": ("const table = new Map<i32, i32>(); table.set(9, 81); console.log('ready');", False),
}


@pytest.mark.parametrize("name", INITIALIZED)
async def test_wizer_runs_start_up_code_unless_it_calls_the_host(
    compiler: AssemblyScriptCompiler, runtime: Runtime, name: str
) -> None:
    start_up, snapshot = INITIALIZED[name]
    source = f"{start_up}\nexport function handle(input: string): string {{ return table.get(9).toString(); }}"
    compiled = await compiler.compile(source)
    assert isinstance(compiled, Compiled), compiled
    assert (b"_initialize" not in compiled.binary) == snapshot
    outcome = await run(compiler, runtime, source)
    assert (outcome.output, outcome.error) == (b"81", None)
    assert outcome.logs == ("ready" if name == "a message" else None)


async def test_wizer_leaves_endless_start_up_code_to_the_time_limit(
    compiler: AssemblyScriptCompiler, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiler._wizer._process, "_timeout", 0.5)
    source = "while (true) {}\nexport function handle(input: string): string { return input; }"
    assert (await run(compiler, runtime, source, limits=SHORT_LIMITS)).error == "time limit of 300ms exceeded"


def example_of_reach() -> str:
    """Return the example of the documentation that imports the module `faas`."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "languages.md").read_text()
    blocks: list[str] = re.findall(r"^```ts\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return next(block for block in blocks if "faasHttp" in block)


@pytest.mark.parametrize("body", ['{"n":1}', '{"text":"é \\\\\\" \\\\\\\\ 😀"}', '{"path":"\\\\u005c"}'])
async def test_assemblyscript_example_reaches_its_environment_and_a_server(
    compiler: AssemblyScriptCompiler, runtime: Runtime, body: str
) -> None:
    """Also with escapes in the answers, which json-as would misread in their usual spelling."""
    compiled = await compiler.compile(example_of_reach())
    assert isinstance(compiled, Compiled), compiled
    with echo_server() as origin:
        reach = Reach(variables={"API": f'{origin}/\\"a'}, secrets={"TOKEN": "t\\"}, open_session=open_loopback_session)
        for _ in range(3):
            outcome = await run_module(runtime, compiled.binary, body.encode(), reach)
            assert outcome.output is not None, outcome.error
            echoed = json.loads(outcome.output)
            assert (echoed["method"], echoed["headers"]["authorization"]) == ("POST", "Bearer t\\")
            assert echoed["path"].endswith("/orders")
            assert json.loads(echoed["body"].encode("latin-1")) == json.loads(body)
    failed = await run_module(runtime, compiled.binary, body.encode(), Reach())
    assert "functions cannot make outbound requests here" in (failed.error or "")

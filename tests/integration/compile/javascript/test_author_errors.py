"""What the author of a faulty program reads: at deployment, or as the outcome of an execution."""

import pytest
import structlog

from faas.compile.code_frame import with_code_frame
from faas.compile.languages.typescript import TypeScriptCompiler
from faas.compile.outcome import CompileFailure
from tests.helpers.guests import little_work
from tests.helpers.local_functions import LocalFunctions

# Programs that do not compile: the beginning of the message, and the line of its frame that is marked, with the caret.
COMPILE_ERRORS = [
    ("export function handle() {\n  return 1 +* 2;\n}", "SyntaxError: unexpected token in expression: '*'", "> 2 |   return 1 +* 2;", 13),
    ("export function handle() {\n  return 1;", "SyntaxError: unexpected end of the source", "> 2 |   return 1;", 12),
    ("exports.handle = () => {\n  let a = 1;\n  let a = 2;\n};", "SyntaxError: ", "> 3 |   let a = 2;", None),
    ("export function handle( { }", "SyntaxError: ", "> 1 | export function handle( { }", None),
    ("exports.handle = () => 'open;\n", "SyntaxError: unexpected end of string", "> 1 | exports.handle = () => 'open;", None),
    ("export const handle = () => `open", "SyntaxError: unexpected end of string", "> 1 | export const handle = () => `open", None),
    ("export const handle = () => /(/;", "SyntaxError: expecting ')'", None, None),
    ("export const handle = () => { await 1; };", "SyntaxError: ", "> 1 | export const handle = () => { await 1; };", None),
    ("export const handle = () => 08n;", "SyntaxError: ", "> 1 | export const handle = () => 08n;", None),
    ("export { missing };", "SyntaxError: ", None, None),
    ("export const handle = () => 1;\nexport const handle = () => 2;", "SyntaxError: ", "> 2 | export const handle = () => 2;", None),
    ("throw new RangeError('at start');\nexport const handle = () => 1;", "RangeError: at start", "> 1 | throw new RangeError('at start');", 11),
    ("const a = undefined;\nconst b = a.x;\nexports.handle = () => b;", "TypeError: cannot read property 'x' of undefined", "> 2 | const b = a.x;", 11),
    ("const qr = require('qr-image');\nexport const handle = () => 1;", "ReferenceError: require is not defined: a function is one file; bundle it: npx esbuild --bundle --format=esm", "> 1 | const qr = require('qr-image');", 12),
    ("exports.handle = () => 1;\nundefinedFunction();", "ReferenceError: undefinedFunction is not defined", "> 2 | undefinedFunction();", 1),
    ("throw 'just text';", "'just text' was thrown, which is not an Error", None, None),
    ("await Promise.reject(new Error('no'));\nexport const handle = () => 1;", "Error: no", "> 1 | await Promise.reject(new Error('no'));", None),
    ("await new Promise(() => {});\nexport const handle = () => 1;", "the module awaits a promise at top level that never settles", None, None),
    ("for (;;);", "the code at top level exceeded the time limit of 5 s", None, None),
    ("(function f() { f(); })();", "RangeError: Maximum call stack size exceeded", "> 1 | (function f() { f(); })();", None),
    ("const all = [];\nfor (;;) all.push(new Uint8Array(1 << 20));", "InternalError: out of memory", "> 2 | for (;;) all.push(new Uint8Array(1 << 20));", None),
    ("function handle() {}", "TypeError: the module has no function to call: it exports nothing; needed is export function handle", None, None),
    ("export const a = 1, b = 2;", "TypeError: the module has no function to call: it exports a and b; needed is", None, None),
    ("export default 5;", "TypeError: the module has no function to call: it exports default; needed is", None, None),
    ("export const handle = 5;", "TypeError: the export handle is of type number; needed is a function", None, None),
    ("export const handle = null;", "TypeError: the export handle is null; needed is a function", None, None),
    ("export class handle {}", "TypeError: the export handle is a class; needed is a function", None, None),
    ("export function* handle() {}", "TypeError: the export handle is a generator function", None, None),
    ("export async function* handler() {}", "TypeError: the export handler is a generator function", None, None),
    ("export const handle = () => 1;\nexport const handler = () => 1;", "TypeError: the module exports handle and handler; export one of them", None, None),
    ("export const handler = () => 1;\nexport default { fetch() {} };", "TypeError: the module exports handler and default.fetch; export one of them", None, None),
    ("export const handle = () => 1;\nexport default () => 2;", "TypeError: the module exports handle and default; export one of them", None, None),
    ("import _ from 'lodash';\nexport const handle = () => _;", "import of 'lodash': a function is one file; bundle it: npx esbuild --bundle --format=esm", "> 1 | import _ from 'lodash';", 15),
    ("import { x } from './other.js';\nexport const handle = () => x;", "import of './other.js': a function is one file; bundle it", "> 1 | import { x } from './other.js';", 19),
    ("import fs from 'node:fs';\nexport const handle = () => fs;", "import of 'node:fs': a function is one file; Node's own modules are not there", "> 1 | import fs from 'node:fs';", 16),
    ("import fs from 'fs/promises';\nexport const handle = () => fs;", "import of 'fs/promises': a function is one file; Node's own modules are not there", "> 1 | import fs from 'fs/promises';", 16),
    ("const _ = require('lodash');\nexports.handle = () => _;", "Error: cannot find module 'lodash': a function is one file. Bundle it", "> 1 | const _ = require('lodash');", 11),
    ("const fs = require('fs');\nexports.handle = () => fs;", "Error: cannot find module 'fs': a function is one file; Node's own modules are not there\n    at", "> 1 | const fs = require('fs');", 12),
    ("const id = Math.random();\nexport const handle = () => id;", "Error: Math.random cannot be used at top level: its value would be the same in every call", "> 1 | const id = Math.random();", None),
    ("const id = crypto.randomUUID();\nexport const handle = () => id;", "Error: crypto.randomUUID cannot be used at top level", "> 1 | const id = crypto.randomUUID();", None),
    ("setInterval(() => {}, 1000);\nexport const handle = () => 1;", "Error: setInterval cannot be used at top level: it would fire while the image", "> 1 | setInterval(() => {}, 1000);", None),
    ("fetch('https://example.com');\nexport const handle = () => 1;", "Error: fetch cannot be used at top level: its response would be the same in every call. Use it in the function that is called\n    at", "> 1 | fetch('https://example.com');", None),
]  # fmt: skip

# Programs whose call fails: the whole message. AUTHOR frames are in it, the engine's are not.
CALL_ERRORS = [
    ("null.x", "TypeError: cannot read property 'x' of null\n    at handle (function.js:2:1)"),
    ("const { a } = undefined", "TypeError: Cannot convert undefined or null to object\n"),
    ("Buffer.from('x')", "ReferenceError: Buffer is not defined: functions have Uint8Array, TextEncoder, atob and btoa\n    at handle (function.js:2:1)"),
    ("new WebSocket('wss://a')", "ReferenceError: WebSocket is not defined: functions make HTTP requests, with fetch\n    at handle (function.js:2:5)"),
    ("new Intl.NumberFormat()", "ReferenceError: Intl is not defined: functions have no locales\n    at handle (function.js:2:5)"),
    ("undefinedName", "ReferenceError: undefinedName is not defined\n    at handle (function.js:2:1)"),
    ("const a = 1; a = 2", "TypeError: 'a' is read-only\n    at handle (function.js:2:14)"),
    ("input.f()", "TypeError: not a function\n    at handle (function.js:2:7)"),
    ("throw new Error()", "Error\n    at handle (function.js:2:11)"),
    ("throw 'text'", "'text' was thrown, which is not an Error"),
    ("throw { code: 7 }", "{ code: 7 } was thrown, which is not an Error"),
    ("throw null", "null was thrown, which is not an Error"),
    ("throw undefined", "undefined was thrown, which is not an Error"),
    ("throw Object.assign(new Error('m'), { name: 'Custom' })", "Custom: m\n    at handle (function.js:2:25)"),
    ("throw new DOMException('m', 'AbortError')", "AbortError: m\n    at handle (function.js:2:11)"),
    ("throw new Error('outer', { cause: 'inner' })", "Error: outer\n    at handle (function.js:2:11)\ncaused by: 'inner' was thrown, which is not an Error"),
    ("throw { [Symbol.for('nodejs.util.inspect.custom')]() { throw 1; } }", "an exception that cannot be shown"),
    ("[1].map((x) => x.y.z)", "TypeError: cannot read property 'z' of undefined\n    at <anonymous> (function.js:2:16)\n    at handle (function.js:2:5)"),
    ("JSON.parse('{')", "SyntaxError: "),
    ("new Array(-1)", "RangeError: invalid array length\n    at handle (function.js:2:5)"),
    ("'x'.repeat(-1)", "RangeError: invalid repeat count\n    at handle (function.js:2:5)"),
    ("10n + 1", "TypeError: cannot convert BigInt to number\n    at handle (function.js:2:7)"),
    ("new URL('nope')", "TypeError: Invalid URL: nope\n    at handle (function.js:2:5)"),
    ("structuredClone(() => 1)", "TypeError: unable to serialize function\n    at handle (function.js:2:1)"),
    ("crypto.getRandomValues(new Uint8Array(70000))", "QuotaExceededError: crypto.getRandomValues fills at most 65536 bytes\n    at handle (function.js:2:28)"),
    ("const a = {}; a.a = a; return a", "TypeError: the function returned an object that contains itself, which JSON cannot express"),
    ("return 10n", "TypeError: the function returned a BigInt, which JSON cannot express: convert it with Number(…) or String(…)"),
    ("return { toJSON() { throw new Error('no'); } }", "Error: no\n    at toJSON (function.js:2:31)"),
    ("return Promise.reject(new Error('no'))", "Error: no\n    at handle (function.js:2:27)"),
    ("return new Promise(() => {})", "the function awaits a promise that never settles: no timer or request is pending that could settle it"),
    ("return { then() {} }", "the function awaits a promise that never settles: no timer or request is pending that could settle it"),
    ("setTimeout(() => { throw new Error('late'); }, 1); return new Promise(() => {})", "Error: late\n    at <anonymous> (function.js:2:30)"),
    ("setTimeout('text')", "TypeError: setTimeout needs a function\n    at handle (function.js:2:1)"),
    ("return import('left-pad')", "ReferenceError: cannot import 'left-pad': a function is one file. Bundle it: npx esbuild --bundle --format=esm"),
    ("const f = () => f(); return f()", "RangeError: Maximum call stack size exceeded\n    at f (function.js:2:17)"),
    ("return JSON.parse('['.repeat(50000) + ']'.repeat(50000))", "stack limit of 1 MiB exceeded"),
    ("const all = []; for (;;) all.push(new Uint8Array(1 << 20))", "memory limit of 64 MiB exceeded\n"),
    ("for (;;);", "time limit of 2s exceeded"),
    ("return new Promise((resolve) => setTimeout(resolve, 60000))", "time limit of 2s exceeded"),
    ("return (async () => { for (;;) await 1; })()", "time limit of 2s exceeded"),
    ("return /^(a+)+$/.test('a'.repeat(64) + 'b')", "time limit of 2s exceeded"),
    ("return 'x'.repeat(7 << 20)", "output limit of 6 MiB exceeded: the result has 7340034 bytes"),
    ("let s = 'x'; for (;;) s += s", "InternalError: string too long\n"),
    ("let a = []; for (let i = 0; i < 600; i++) a = [a]; return a", "invalid JSON: nested deeper than 500 levels"),
]  # fmt: skip

TYPESCRIPT_ERRORS = [
    ("enum Color { Red }\nexport const handle = () => Color.Red;", "SyntaxError: TypeScript enum is not supported in strip-only mode\n    at function.ts:1:1", "> 1 | enum Color { Red }"),
    ("export class A { constructor(private x: number) {} }", "SyntaxError: TypeScript parameter property is not supported in strip-only mode\n    at function.ts:1:38", "> 1 |"),
    ("export const handle = (x: number) => <any>x;", "SyntaxError: The angle-bracket syntax for type assertions", "> 1 |"),
    ("namespace N { export const a = 1; }", "SyntaxError: TypeScript namespace declaration is not supported", "> 1 |"),
    ("let a: number;\nlet b: string = ;", "SyntaxError: Expression expected\n    at function.ts:2:17", "> 2 | let b: string = ;"),
    ("type T = { a: number };\nconst t: T = undefined as unknown as T;\nconst u: number = t.a as number;\nexport const handle = () => u;", "TypeError: cannot read property 'a' of undefined\n    at <anonymous> (function.ts:3:19)", "> 3 | const u: number = t.a as number;"),
    ("import { X } from 'types';\nexport const handle = (x: X) => x;", "import of 'types': a function is one file; bundle it: npx esbuild --bundle --format=esm; if it is for types alone, write import type\n    at function.ts:1:19", "> 1 | import { X } from 'types';"),
    ("import type { X } from 'types';\nimport { y } from 'y';\nexport const handle = (x: X) => y;", "import of 'y': a function is one file; bundle it: npx esbuild --bundle --format=esm; if it is for types alone, write import type\n    at function.ts:2:19", "> 2 | import { y } from 'y';"),
]  # fmt: skip

ASSEMBLYSCRIPT = [
    'import { JSON } from "json-as";\nexport function handle(input: string): string { return input; }',
    "@json class A { a: string = ''; }\nexport function handle(input: string): string { return input; }",
    "export function handle(input: string): string { let a: i32 = 1; return a.toString(); }",
    "function add(a: u64, b: u64): u64 { return a + b; }\nexport function handle(input: string): string { return input; }",
]


def caret_column(message: str) -> int | None:
    caret = next((line for line in message.splitlines() if line.endswith("^")), None)
    return None if caret is None else len(caret) - len("  1 | ")


@pytest.mark.parametrize(("source", "message", "marked", "column"), COMPILE_ERRORS)
async def test_compile_error_is_explained(
    functions: LocalFunctions, source: str, message: str, marked: str | None, column: int | None
) -> None:
    found = await functions.compile(source)
    assert isinstance(found, str)
    assert found.startswith(message)
    assert marked is None or marked in found.splitlines()
    assert column is None or caret_column(found) == column
    assert "faas:" not in found
    assert "native" not in found


@pytest.mark.parametrize(("body", "message"), CALL_ERRORS)
async def test_call_error_is_explained(functions: LocalFunctions, body: str, message: str) -> None:
    binary = await functions.compile(f"export function handle(input) {{\n{body};\n}}")
    assert isinstance(binary, bytes), binary
    limits = functions.limits_for(message)
    with little_work(limits, 2):
        outcome = await functions.run(binary, limits=limits)
    assert outcome.output is None
    assert outcome.error is not None
    assert outcome.error.startswith(message) if message.endswith((": ", "\n", "levels")) else outcome.error == message


@pytest.mark.parametrize(("source", "message", "marked"), TYPESCRIPT_ERRORS)
async def test_typescript_error_is_at_the_authors_line(
    functions: LocalFunctions, source: str, message: str, marked: str
) -> None:
    found = await functions.compile(source, "typescript")
    assert isinstance(found, str)
    assert found.startswith(message)
    assert any(line.startswith(marked) for line in found.splitlines())


@pytest.mark.parametrize("source", ASSEMBLYSCRIPT)
async def test_typescript_that_is_assemblyscript_is_refused(functions: LocalFunctions, source: str) -> None:
    found = await functions.compile(source, "typescript")
    assert isinstance(found, str)
    assert "AssemblyScript" in found
    assert "--language assemblyscript" in found


@pytest.mark.parametrize(
    "source",
    [
        "type i32 = number;\nexport const handle = (x: { a: i32 }): i32 => x.a;",
        "export const handle = () => ({ text: 'a: i32', u8: 1 });",
        "// let a: i32 = 1; import 'json-as'\nexport const handle = (): string => `x: u8`;",
        "interface f32 { a: number }\nexport const handle = (x: f32): f32 => x;",
    ],
)
async def test_typescript_with_such_names_of_its_own_compiles(functions: LocalFunctions, source: str) -> None:
    assert isinstance(await functions.compile(source, "typescript"), bytes)


def test_code_frame_shows_a_long_line_around_the_column() -> None:
    source = "x" * 300 + "!" + "y" * 300
    shown = with_code_frame("E: m\n    at function.js:1:301", source, "function.js").splitlines()
    assert shown[3].startswith("> 1 | ")
    assert len(shown[3]) < 200
    assert shown[3][len(shown[4]) - 1] == "!"


def test_code_frame_ignores_places_outside_the_source() -> None:
    assert with_code_frame("E: m\n    at function.js:9:1", "one\ntwo", "function.js").endswith("> 2 | two\n    |    ^")


async def test_typescript_worker_has_its_own_name_in_logs(functions: LocalFunctions) -> None:
    """An operator finds the process of a stuck compilation by it."""
    running = functions.local.compilers["typescript"]
    assert isinstance(running, TypeScriptCompiler)
    compiler = TypeScriptCompiler(running._snapshots, workers=1, timeout=20, memory=2 << 30)
    with structlog.testing.capture_logs() as logs:
        assert isinstance(await compiler.compile("let x: = 1"), CompileFailure)
    await compiler.pool.close()
    assert [entry["worker"] for entry in logs if entry["event"] == "worker.started"] == ["TypeScript compiler"]

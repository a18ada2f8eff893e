"""Compile errors of functions that use json-as: at the author's lines, in the author's text."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from faas.compile.languages.assemblyscript import TOOLCHAIN, AssemblyScriptCompiler, find_node
from faas.compile.outcome import Compiled, CompileFailure

pytestmark = pytest.mark.slow

_HANDLE = "\nexport function handle(input: string): string { return JSON.stringify(JSON.parse<In>(input)); }"

# name → what follows the import on line 1, the place, and the text of the message
AUTHORS = {
    "a misspelt type": ('@json class In {\n  a: i32 = 0;\n\n  b: strnig = "";\n}', "(5,6)", "Cannot find name 'strnig'"),
    "a misspelt element type": ("@json class In {\n  b: strnig[] = [];\n}", "(3,6)", "Cannot find name 'strnig'"),
    "a misspelt type in a map": ("@json class In {\n  b: Map<string, i23> = new Map();\n}", "(3,18)", "Cannot find name 'i23'"),
    "an initializer of another type": ('@json class In {\n  a: i32 = "x";\n}', "(3,12)", "is not assignable to type 'i32'"),
    "an initializer beside a constructor": (
        '@json class In {\n  a: i32 = "x";\n  constructor(n: i32, s: string) {}\n}', "(3,12)", "is not assignable to type 'i32'"),
    "an initializer in a generic class": (
        '@json class G<T> {\n  a: i32 = "x";\n  b: T | null = null;\n}\n@json class In { g: G<string> | null = null; }',
        "(3,3)", "member 'a' of class 'G'"),
    "a method's body": (
        "@json class In {\n  a: i32 = 0;\n  f(): i32 { return 's'; }\n}\nexport function g(): i32 { return new In().f(); }",
        "(4,21)", "is not assignable to type 'i32'"),
    "a member class without @json": ("class P {}\n@json class In { p: P = new P(); }", "(3,21)", "class 'P' has no @json; write @json before it"),
    "an element class without @json": ("class P {}\n@json class In { p: Map<string, P[]> = new Map(); }", "(3,33)", "class 'P' has no @json"),
    "a base class without @json": ("class P { a: i32 = 0; }\n@json class In extends P {}", "(3,24)", "class 'P', which 'In' extends, has no @json"),
    "a generic base class": ("@json class G<T> { v: T | null = null; }\n@json class In extends G<string> {}", "(3,24)", "generic class 'G'"),
    "the document's class without @json": ("class In { a: i32 = 0; }", "(3,82)", "class 'In' has no @json"),
    "@alias without a key": ("@json class In {\n  @alias a: i32 = 0;\n}", "(3,3)", '@alias("key")'),
    "@alias with a number": ("@json class In {\n  @alias(5) a: i32 = 0;\n}", "(3,3)", '@alias("key")'),
    "@omitnull on a number": ("@json class In { @omitnull a: i32 = 0; }", "(2,13)", "class 'In'"),
    "@omitif with a name that is not there": ('@json class In { @omitif("nope > 1") a: i32 = 0; }', "(2,13)", "Cannot find name 'nope'"),
    "@deserializer without a parameter": (
        '@json class In { a: i32 = 0; @deserializer("string") read(): In { return this; } }', "(2,13)", "class 'In'"),
    "a call that the library cannot serve": (
        "@json class In { a: i32 = 0; }\nexport function g(): string { return [new In()].join(); }",
        "(3,38)", "Property 'toString' does not exist on type 'function/In'"),
}  # fmt: skip


@pytest.mark.parametrize("name", AUTHORS)
async def test_json_as_errors_are_at_the_authors_lines(compiler: AssemblyScriptCompiler, name: str) -> None:
    classes, place, message = AUTHORS[name]
    source = f'import {{ JSON }} from "json-as";\n{classes}{_HANDLE}'
    answer = await compiler.compile(source)
    assert isinstance(answer, CompileFailure)
    assert message in answer.diagnostics
    assert f"function.ts{place}" in answer.diagnostics
    lines = {line.strip() for line in source.split("\n")}
    shown = [line.split("│", 1)[1].strip() for line in answer.diagnostics.split("\n") if "│" in line]
    assert {text for text in shown if text.strip("~^ ")} <= lines, "a line that the author did not write"
    assert "__" not in answer.diagnostics


HANDLES = {
    "a constant": ("export const handle = (input: string): string => input;", "'handle' is a variable that holds a function"),
    "a function expression": ("export const handle = function (input: string): string { return input; };", "'handle' is a variable that holds a function"),
    "not exported": ("function handle(input: string): string { return input; }", "function 'handle' is not exported"),
    "exported by another name": (
        "function handle(input: string): string { return input; }\nexport { handle as run };", "function 'handle' is exported as 'run'"),
    "the default export": ("export default function handle(input: string): string { return input; }", "'handle' is the default export"),
    "a method": ("export class A { handle(input: string): string { return input; } }", "'handle' is a member of class 'A'"),
    "a member of a namespace": ("export namespace N { export function handle(input: string): string { return input; } }", "'handle' is a member of namespace 'N'"),
    "no parameter": ("export function handle(): string { return ''; }", "function 'handle' has 0 parameters, needed is one"),
    "two parameters": ("export function handle(a: string, b: string): string { return a; }", "function 'handle' has 2 parameters, needed is one"),
    "another parameter": ("export function handle(input: Uint8Array): string { return ''; }", "the parameter of 'handle' is 'Uint8Array', needed is 'string'"),
    "another result": ("export function handle(input: string): i32 { return 1; }", "'handle' returns 'i32', needed is 'string'"),
    "no result": ("export function handle(input: string): void {}", "'handle' returns 'void', needed is 'string'"),
    "a result without its type": ("export function handle(input: string) { return input; }", "function.ts(1,38)"),
    "async": ("export async function handle(input: string): Promise<string> { return input; }", "AssemblyScript has no 'async'"),
    "a generic function": ("export function handle<T>(input: T): T { return input; }", "function 'handle' is generic"),
    "another name": ("export function main(input: string): string { return input; }", "the source exports 'main', and no function 'handle'"),
}  # fmt: skip


@pytest.mark.parametrize("name", HANDLES)
async def test_entry_check_says_what_to_write(compiler: AssemblyScriptCompiler, name: str) -> None:
    source, message = HANDLES[name]
    answer = await compiler.compile(source)
    assert isinstance(answer, CompileFailure)
    assert message in answer.diagnostics
    assert "write `export function handle(input: string): string`" in answer.diagnostics


@pytest.mark.parametrize(
    "source",
    [
        "function run(input: string): string { return input; }\nexport { run as handle };",
        "type Text = string;\nexport function handle(input: Text): Text { return input; }",
        "export function handle(input: String): string { return input; }",
    ],
)
async def test_entry_check_accepts_other_spellings_of_handle(compiler: AssemblyScriptCompiler, source: str) -> None:
    answer = await compiler.compile(source)
    assert isinstance(answer, Compiled), answer


async def test_marker_as_an_export_of_the_author_is_refused(compiler: AssemblyScriptCompiler) -> None:
    source = "export const __json_as_1_6: i32 = 5;\nexport function handle(input: string): string { return input; }"
    answer = await compiler.compile(source)
    assert isinstance(answer, CompileFailure)
    assert "'__json_as_1_6' is an export of the platform's own; write another name" in answer.diagnostics
    assert "function.ts(1,14)" in answer.diagnostics


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("package.json", '"version": "1.6.0"', '"version": "1.7.0"'), "replaces parts of json-as 1.6.0; found 1.7.0"),
        (("transform/lib/index.js", "    getSchema(name) {", "    getSchemas(name) {"), "without getSchema"),
    ],
)
def test_another_json_as_is_refused_when_the_worker_starts(
    tmp_path: Path, change: tuple[str, str, str], message: str
) -> None:
    for file in TOOLCHAIN.glob("*.mjs"):
        shutil.copy(file, tmp_path)
    packages = tmp_path / "node_modules"
    packages.mkdir()
    for package in (TOOLCHAIN / "node_modules").iterdir():
        if package.name != "json-as":
            (packages / package.name).symlink_to(package)
    shutil.copytree(TOOLCHAIN / "node_modules" / "json-as", packages / "json-as")
    name, before, after = change
    changed = packages / "json-as" / name
    text = changed.read_text()
    assert before in text
    changed.write_text(text.replace(before, after))
    command = [str(find_node()), str(tmp_path / "worker.mjs")]
    result = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=60)
    assert result.returncode != 0
    assert message in result.stderr.decode()
    assert json.loads((TOOLCHAIN / "package.json").read_text())["dependencies"]["json-as"] == "1.6.0"

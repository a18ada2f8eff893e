"""Every type that json-as may read, in every container, with the keys in any order; and the types that are refused."""

import hashlib
import json

import pytest

from faas.compile.languages.assemblyscript import AssemblyScriptCompiler
from faas.compile.outcome import Compiled, CompileFailure
from faas.runtime import Runtime
from tests.helpers.json_as_documents import first_difference

pytestmark = pytest.mark.slow

_HEAD = """import { JSON } from "json-as";
enum Kind { One, Two }
type Money = f64;
@json class Empty {}
@json class Point { x: string = ""; y: i32 = 0; }
@json class Sub extends Point { w: f64 = 0; }
@json class Generic<T> { v: T; constructor(v: T) { this.v = v; } }
@json class Hex {
  v: string = "";
  @serializer("string") write(self: Hex): string { return `"${self.v}"`; }
  @deserializer("string") read(data: string): Hex { const made = new Hex(); made.v = data.slice(1, -1); return made; }
}
"""
_HANDLE = "export function handle(input: string): string { return JSON.stringify(JSON.parse<In>(input)); }"

# type → its default, and values as JSON
_ELEMENTS: dict[str, tuple[str, list[str]]] = {
    "i8": ("0", ["-128", "127", "0"]),
    "u8": ("0", ["255", "0"]),
    "i16": ("0", ["-32768"]),
    "u16": ("0", ["65535"]),
    "i32": ("0", ["-2147483648", "1.0", "12e2"]),
    "u32": ("0", ["4294967295"]),
    "i64": ("0", ["-9223372036854775808", "0"]),
    "u64": ("0", ["18446744073709551615", "1.8e19"]),
    "isize": ("0", ["-5", "0"]),
    "f32": ("0", ["1.5", "0", "-0.25"]),
    "f64": ("0", ["9.5", "1e-7", "5e-324", "0.1", "-3"]),
    "number": ("0", ["9.5", "0"]),
    "bool": ("false", ["true", "false"]),
    "string": ('""', ['"]}\\\\\\"["', '""', '"\\u00e9\\u0000\\n"']),
    "Kind": ("Kind.One", ["1"]),
    "Money": ("0", ["9.5"]),
    "Date": ("new Date(0)", ['"2026-01-02T03:04:05.678Z"']),
    "Empty": ("new Empty()", ["{}"]),
    "Point": ("new Point()", ['{"x":"}","y":1}', '{"y":2,"x":"["}']),
    "Sub": ("new Sub()", ['{"w":0.5,"y":1,"x":"["}']),
    "Generic<i32>": ("new Generic<i32>(0)", ['{"v":-3}']),
    "Generic<Point>": ("new Generic<Point>(new Point())", ['{"v":{"y":2,"x":"]"}}']),
    "Hex": ("new Hex()", ['"ab"', '""']),
    "JSON.Value": ("JSON.Value.from<i32>(0)", ['"t"', "5", "true", "null", "[1,{}]", '{"a":["]"]}', "-1.5e-7"]),
    "JSON.Raw": ('new JSON.Raw("null")', ['"t"', "5", "null", '{"a":[1,"]"]}']),
    "JSON.Obj": ("new JSON.Obj()", ["{}", '{"a]":[1,"x"],"b":{"c":null}}']),
    "JSON.Box<i32>": ("new JSON.Box<i32>(0)", ["5", "-7"]),
}  # fmt: skip
_VALUE_TYPES = {
    "i8",
    "u8",
    "i16",
    "u16",
    "i32",
    "u32",
    "i64",
    "u64",
    "isize",
    "f32",
    "f64",
    "number",
    "bool",
    "Kind",
    "Money",
}


def _members(element: str) -> dict[str, tuple[str, str, list[str]]]:
    """Return members by name: a type, a default, and values, for `element` alone and in all containers."""
    default, values = _ELEMENTS[element]
    some, pairs = f"[{','.join(values)}]", f'{{"k":{values[0]},"]":{values[-1]}}}'
    members = {
        "plain": (element, default, values),
        "array": (f"{element}[]", "[]", [some, "[]"]),
        "nested": (f"{element}[][]", "[]", [f"[{some},[],{some}]"]),
        "arrayOrNull": (f"{element}[] | null", "null", [some, "null"]),
        "set": (f"Set<{element}>", f"new Set<{element}>()", [f"[{values[0]}]", "[]"]),
        "setOrNull": (f"Set<{element}> | null", "null", [f"[{values[0]}]", "null"]),
        "map": (f"Map<string, {element}>", f"new Map<string, {element}>()", [pairs, "{}"]),
        "mapOrNull": (f"Map<string, {element}> | null", "null", [pairs, "null"]),
        "mapOfArrays": (f"Map<string, {element}[]>", f"new Map<string, {element}[]>()", [f'{{"k":{some}}}']),
        "maps": (f"Map<string, {element}>[]", "[]", [f"[{pairs},{{}}]"]),
        "byNumber": (f"Map<i32, {element}>", f"new Map<i32, {element}>()", [f'{{"-1":{values[0]}}}']),
    }
    if element != "Date":
        members["fixedOrNull"] = (f"StaticArray<{element}> | null", "null", [some, "null"])
        members["fixed"] = (f"StaticArray<{element}>", f"new StaticArray<{element}>(0)", [some, "[]"])
    if element not in _VALUE_TYPES:
        members["orNull"] = (f"{element} | null", "null", [*values, "null"])
    return members


@pytest.mark.parametrize("element", _ELEMENTS)
async def test_json_as_reads_every_shape_in_any_order(
    compiler: AssemblyScriptCompiler, runtime: Runtime, element: str
) -> None:
    members = _members(element)
    fields = "\n".join(f"  {name}: {kind} = {default};" for name, (kind, default, _) in members.items())
    compiled = await compiler.compile(f"{_HEAD}@json class In {{\n{fields}\n}}\n{_HANDLE}")
    assert isinstance(compiled, Compiled), compiled
    digest = hashlib.sha256(compiled.binary).digest()

    async def load() -> bytes:
        return compiled.binary

    async def answer(pairs: list[tuple[str, str]], space: str = "") -> dict[str, object]:
        document = "{" + ",".join(f'{space}"{key}"{space}:{space}{value}{space}' for key, value in pairs) + "}"
        outcome = await runtime.run(digest, load, document.encode())
        assert outcome.output is not None, f"{outcome.error}\n{document}"
        found: dict[str, object] = json.loads(outcome.output)
        read = json.loads(document)
        difference = first_difference({key: found[key] for key in read if key in found}, {
            key: value for key, value in read.items() if key in members
        })  # fmt: skip
        assert difference is None, f"{difference}\n{document}"
        return found

    first = [(name, values[0]) for name, (_, _, values) in members.items()]
    await answer(first)
    await answer(first[::-1])
    await answer([*first[1:], ("unknown", '[{"x":"]"},"}"]'), first[0]], space=" ")
    for name, (_, _, values) in members.items():
        for value in values:
            await answer([(name, value)])


REFUSED = {
    "null in an array": ("a: (string | null)[] = [];", "null is not read in 'Array'; write 'string', or 'JSON.Value'"),
    "null in a map": ("a: Map<string, Point | null> = new Map();", "null is not read in 'Map'; write 'Point'"),
    "static arrays in an array": ("a: StaticArray<i32>[] = [];", "write 'Array<i32>'"),
    "sets in a static array": ("a: StaticArray<Set<i32>> = [];", "write 'Array<i32>'"),
    "arrays in a set": ("a: Set<i32[]> = new Set();", "'Array<i32>' is not read in 'Set'"),
    "static arrays in a map": ("a: Map<string, StaticArray<i32>> = new Map();", "write 'Array<i32>'"),
    "dates in a static array": ("a: StaticArray<Date> = [];", "'Date' is not read in 'StaticArray'; write"),
    "bytes in an array": ("a: Uint8Array[] = [];", "'Uint8Array' is not read in 'Array'; write an Array of numbers"),
    "JSON.Arr in an array": ("a: JSON.Arr[] = [];", "'JSON.Arr' is not read in 'Array'; write 'JSON.Value'"),
    "a boxed bool in an array": ("a: JSON.Box<bool>[] = [];", "'JSON.Box<bool>' is not read in 'Array'; write 'bool'"),
    "pointers in a map": ("a: Map<string, usize> = new Map();", "write 'i32' or 'u32'"),
    "keys of a class": ("a: Map<Point, i32> = new Map();", "keys of type 'Point' are not read; write 'string'"),
    "a function": ("a: () => void = () => {};", "it is a function; mark the member with @omit"),
    "a class without @json": ("a: Plain[] = [];", "class 'Plain' has no @json; write @json before it"),
    "a lazy member": ("@lazy a: string = \"\";", "remove @lazy"),
    "a key with a quote": ("@alias('a\"') a: string = '';", "json-as does not find keys with"),
    "an empty key": ('@alias("") a: string = "";', "json-as does not find keys with"),
    "a date without a value": ("a!: Date;", "member 'a' has no initializer"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_json_as_refuses_what_it_would_read_wrong(compiler: AssemblyScriptCompiler, name: str) -> None:
    member, message = REFUSED[name]
    source = f"{_HEAD}class Plain {{}}\n@json class In {{\n  {member}\n}}\n{_HANDLE}"
    answer = await compiler.compile(source)
    assert isinstance(answer, CompileFailure), name
    assert message in answer.diagnostics
    line = source.split("\n").index(f"  {member}") + 1
    assert f"function.ts({line}," in answer.diagnostics
    assert f" {line} │ {member}" in answer.diagnostics
    assert answer.diagnostics.count("ERROR") == 1


TOP_LEVEL = {
    "string[]": ['["a","]"]', "[]"],
    "Point[]": ['[{"y":1,"x":"]"}]'],
    "Hex[]": ['["ab","c"]'],
    "Map<string, Point[]>": ['{"a":[{"y":2,"x":"e"}]}'],
    "JSON.Value": ['"t"', "5", "null", '{"a":[1]}'],
    "JSON.Obj": ['{"a":{"b":[]}}'],
    "i32[] | null": ["null", "[1]"],
    "f64": ["9.5", "-1e-7"],
    "string": ['"\\\\]\\"\\u00e9"'],
    "Uint8Array": ["[1,255]"],
    "Set<i32> | null": ["null", "[1]"],
}


@pytest.mark.parametrize("kind", TOP_LEVEL)
async def test_json_as_reads_documents_that_are_no_class(
    compiler: AssemblyScriptCompiler, runtime: Runtime, kind: str
) -> None:
    body = f"return JSON.stringify<{kind}>(JSON.parse<{kind}>(input));"
    compiled = await compiler.compile(f"{_HEAD}export function handle(input: string): string {{ {body} }}")
    assert isinstance(compiled, Compiled), compiled

    async def load() -> bytes:
        return compiled.binary

    for document in TOP_LEVEL[kind]:
        outcome = await runtime.run(hashlib.sha256(compiled.binary).digest(), load, f" {document}\n".encode())
        assert outcome.output is not None, outcome.error
        assert json.loads(outcome.output) == json.loads(document)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("JSON.parse<(string | null)[]>(input).length", "null is not read in 'Array'"),
        ("JSON.parse<Plain>(input).a", "class 'Plain' has no @json"),
        ("read<Plain>(input).a", "class 'Plain' has no @json"),
        ("read<usize>(input)", "0 is written as null; write 'u32'"),
    ],
)
async def test_json_as_refuses_documents_that_it_would_read_wrong(
    compiler: AssemblyScriptCompiler, call: str, message: str
) -> None:
    source = f"""{_HEAD}class Plain {{ a: i32 = 0; }}
function read<T>(text: string): T {{ return JSON.parse<T>(text); }}
export function handle(input: string): string {{ return ({call}).toString(); }}"""
    answer = await compiler.compile(source)
    assert isinstance(answer, CompileFailure)
    assert message in answer.diagnostics
    assert "in function.ts(" in answer.diagnostics
    assert "__" not in answer.diagnostics

"""Classes of functions that use json-as: those that refer to each other, generic ones, inheritance, custom readers."""

import hashlib
import json

import pytest

from faas.compile.languages.assemblyscript import AssemblyScriptCompiler
from faas.compile.outcome import Compiled
from faas.runtime import Runtime
from tests.helpers.support import ECHO_TS

pytestmark = pytest.mark.slow

_HANDLE = "\nexport function handle(input: string): string { return JSON.stringify(JSON.parse<In>(input)); }"
_HEX = """@json class Hex {
  v: string = "";
  @serializer("string") write(self: Hex): string { return `"${self.v}"`; }
  @deserializer("string") read(data: string): Hex { const made = new Hex(); made.v = data.slice(1, -1); return made; }
}
"""
_CENTS = """@json class Cents {
  v: i64 = 0;
  @serializer("number") write(self: Cents): string { return self.v.toString(); }
  @deserializer("number") read(data: string): Cents { const made = new Cents(); made.v = I64.parseInt(data); return made; }
}
"""


async def answers(
    compiler: AssemblyScriptCompiler, runtime: Runtime, classes: str, documents: list[str], *, handle: str = _HANDLE
) -> list[object]:
    """Return what a function with these classes answers to each document."""
    compiled = await compiler.compile(f'import {{ JSON }} from "json-as";\n{classes}{handle}')
    assert isinstance(compiled, Compiled), compiled

    async def load() -> bytes:
        return compiled.binary

    found: list[object] = []
    for document in documents:
        outcome = await runtime.run(hashlib.sha256(compiled.binary).digest(), load, document.encode())
        assert outcome.output is not None, outcome.error
        found.append(json.loads(outcome.output))
    return found


CLASSES = {
    "two that refer to each other": (
        "@json class In { lead: Person | null = null; } @json class Person { team: In | null = null; n: i32 = 0; }",
        ['{"lead":{"team":{"lead":null},"n":1}}', '{"lead":{"n":2,"team":{"lead":{"team":null,"n":3}}}}'],
    ),
    "three in a circle, through arrays and maps": (
        """@json class A { b: B | null = null; } @json class B { c: C[] = []; }
           @json class C { a: Map<string, A> = new Map(); n: In | null = null; }
           @json class In { a: A = new A(); b: B | null = null; }""",
        ['{"a":{"b":{"c":[{"a":{"k":{"b":null}},"n":null}]}},"b":{"c":[]}}',
         '{"b":{"c":[{"n":{"a":{"b":null},"b":null},"a":{}}]},"a":{"b":null}}'],
    ),
    "a circle without null": (
        """@json class A { b: B | null = null; n: i32 = 0; } @json class B { a: A = new A(); }
           @json class In { x: B = new B(); }""",
        ['{"x":{"a":{"b":{"a":{"n":5,"b":null}},"n":1}}}'],
    ),
    "one that refers to itself": (
        "@json class In { next: In | null = null; all: In[] = []; }",
        ['{"next":{"next":null,"all":[]},"all":[{"all":[],"next":null}]}'],
    ),
    "one that comes later": (
        "@json class In { z: Later = new Later(); } @json class Later { v: i32 = 0; w: In[] = []; }",
        ['{"z":{"w":[{"z":{"v":2,"w":[]}}],"v":1}}'],
    ),
    "keys of which the last letter differs": (
        "@json class In { name1: string = ''; name2: string = ''; abc: i32 = 0; abx: i32 = 0; }",
        ['{"name2":"b","name1":"a","abx":4,"abc":3}'],
    ),
    "a namespace": (
        """namespace N { @json export class P { x: i32 = 0; } }
           @json class In { p: N.P = new N.P(); q: N.P[] = []; }""",
        ['{"q":[{"x":2}],"p":{"x":1}}'],
    ),
    "generic ones": (
        """@json class Pair<A, B> { a: A; b: B; constructor(a: A, b: B) { this.a = a; this.b = b; } }
           @json class In { p: Pair<string, i32[]> = new Pair<string, i32[]>("", []); }""",
        ['{"p":{"b":[1],"a":"x"}}', '{"p":{"a":"x","b":[]}}'],
    ),
    "inheritance": (
        """@json class A { a: i32 = 0; } @json class B extends A { b: string = ""; }
           @json class In extends B { c: f64 = 0; }""",
        ['{"a":1,"b":"x","c":2.5}', '{"c":2.5,"b":"x","a":1}'],
    ),
    "constructor parameters": ("@json class In { constructor(public a: i32) {} }", ['{"a":5}']),
    "@alias": (
        '@json class In { @alias("first name") a: string = ""; @alias("é[}") b: i32 = 0; }',
        ['{"first name":"q","é[}":1}', '{"\\u00e9\\u005B}":1,"first\\u0020name":"q"}'],
    ),
    "@omitnull, @omitif and @optional": (
        """@json class In { @omitnull a: string | null = null; @omitif("this.b == 0") b: i32 = 0;
           @optional c: string[] = []; d: i32 = 0; }""",
        ['{"c":[],"d":1}', '{"a":"x","b":2,"c":["y"],"d":1}', '{"d":1,"c":["y"],"b":3,"a":"x"}'],
    ),
    "members named as in generated code": (
        "@json class In { out: i32 = 0; value: i32 = 0; keyStart: i32 = 0; srcStart: string = ''; ptr: i32 = 0; }",
        ['{"ptr":1,"out":2,"value":3,"keyStart":4,"srcStart":"5"}'],
    ),
    "a custom reader of strings": (
        _HEX + "@json class In { m: Map<string, Hex> = new Map(); n: i32 = 0; o: Hex | null = null; a: Hex[] = []; d: Hex[][] = []; }",
        ['{"m":{"k":"v"},"n":1,"o":null,"a":["x","y"],"d":[["a"],[]]}', '{"d":[["a"],[]],"a":["x"],"o":"z","n":1,"m":{}}'],
    ),
    "a custom reader of numbers": (
        _CENTS + "@json class In { all: Cents[] = []; one: Cents = new Cents(); fixed: StaticArray<Cents> = []; }",
        ['{"all":[5,6],"one":1,"fixed":[7]}', '{"fixed":[7,8],"one":1,"all":[]}'],
    ),
    "another name for JSON": (
        'import { JSON as J } from "json-as"; @json class In { a: i32 = 0; v: J.Value = J.Value.from<i32>(0); }',
        ['{"a":5,"v":[1]}', '{"v":"t","a":5}'],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
async def test_json_as_reads_classes_of_every_kind(
    compiler: AssemblyScriptCompiler, runtime: Runtime, name: str
) -> None:
    classes, documents = CLASSES[name]
    assert await answers(compiler, runtime, classes, documents) == [json.loads(document) for document in documents]


SPELLINGS = {
    "an escaped backslash before a quote": '{"dirs":["C:\\\\"],"n":1,"rows":[],"name":"\\\\\\""}',
    "brackets in strings": '{"rows":[["a["],["]b"],["{}"]],"n":1,"dirs":["]}"],"name":"{"}',
    "escaped keys": '{"na\\u006de":"x","\\u006E":5,"d\\u0069rs":[],"rows":[]}',
    "escapes where none is needed": '{"name":"\\u0061\\/\\ud83d\\ude00","n":1,"rows":[["\\u005B"]],"dirs":["\\u00E9"]}',
    "integers with a point or an exponent": '{"n":1.0,"dirs":[],"rows":[],"name":""}',
    "integers with an exponent": '{"name":"","n":12e2,"dirs":[],"rows":[]}',
    "whitespace": '{ "name" : "a" ,\n\t"n" : 3 , "dirs" : [ "x" , "y" ] , "rows" : [ [ ] , [ "z" ] ] }',
}


@pytest.mark.parametrize("name", SPELLINGS)
async def test_json_as_reads_every_spelling(compiler: AssemblyScriptCompiler, runtime: Runtime, name: str) -> None:
    classes = "@json class In { n: i32 = 0; dirs: string[] = []; rows: string[][] = []; name: string = ''; }"
    document = SPELLINGS[name]
    assert await answers(compiler, runtime, classes, [document]) == [json.loads(document)]


async def test_json_as_writes_null_for_nan_and_infinities(compiler: AssemblyScriptCompiler, runtime: Runtime) -> None:
    classes = """@json class Part { low: f64 = -Infinity; text: string = "NaN, -Infinity \\\\"; }
    @json class In {
      average: f64 = 0; single: f32 = f32.NaN; all: f64[] = [NaN, 1.5, Infinity]; part: Part = new Part();
      map: Map<string, f64> = new Map(); box: JSON.Box<f64> = new JSON.Box<f64>(Infinity); count: f64 = 0;
    }"""
    handle = """export function handle(input: string): string {
      const it = JSON.parse<In>(input); it.average = it.count / 0; it.map.set("NaN", NaN); return JSON.stringify(it);
    }"""
    (found,) = await answers(compiler, runtime, classes, ['{"count":0}'], handle=handle)
    assert found == {
        "average": None, "single": None, "all": [None, 1.5, None], "part": {"low": None, "text": "NaN, -Infinity \\"},
        "map": {"NaN": None}, "box": None, "count": 0,
    }  # fmt: skip
    handle = "export function handle(input: string): string { return JSON.stringify<f64>(0 / JSON.parse<f64>(input)); }"
    assert await answers(compiler, runtime, "", ["0"], handle=handle) == [None]


async def test_json_as_marker_selects_the_spelling(compiler: AssemblyScriptCompiler, runtime: Runtime) -> None:
    document = b' {"t\\u0065xt": "[\\\\", "n": 1.0}'
    compiled = await compiler.compile(ECHO_TS)
    assert isinstance(compiled, Compiled)
    assert b"__json_as" not in compiled.binary
    with_json_as = await compiler.compile('import { JSON } from "json-as";\n' + ECHO_TS)
    assert isinstance(with_json_as, Compiled)
    assert b"__json_as_1_6" in with_json_as.binary
    for binary, expected in ((compiled.binary, document), (with_json_as.binary, b'{"text": "[\\u005c", "n": 1}')):

        async def load(binary: bytes = binary) -> bytes:
            return binary

        assert (await runtime.run(hashlib.sha256(binary).digest(), load, document)).output == expected

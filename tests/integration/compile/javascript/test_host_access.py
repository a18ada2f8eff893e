"""Attempts of a function to reach the host, or to turn what the prelude gives it against the calls after it."""

import msgspec
import pytest
from structlog.testing import capture_logs

from faas.compile.surroundings import Surroundings
from faas.runtime import pagemap
from faas.runtime.reach import Reach
from tests.helpers.instance_watch import InstanceWatch
from tests.helpers.local_functions import LocalFunctions
from tests.helpers.web_calls import RefusingSession, WebFunction, deployed, get, post

MIN_ROUNDS, MAX_ROUNDS = 6, 60
# Names of the global object beside those of the language.
GLOBALS = {
    "AbortController", "AbortSignal", "Blob", "ByteLengthQueuingStrategy", "CountQueuingStrategy", "Crypto", "CryptoKey",
    "CustomEvent", "DOMException", "Event", "EventTarget", "File", "FormData", "Headers", "ReadableStream",
    "ReadableStreamBYOBReader", "ReadableStreamDefaultReader", "Request", "Response", "SubtleCrypto", "TextDecoder",
    "TextEncoder", "TransformStream", "URL", "URLSearchParams", "WritableStream", "WritableStreamDefaultWriter",
    "addEventListener", "atob", "btoa", "clearImmediate", "clearInterval", "clearTimeout", "console", "crypto", "fetch",
    "global", "performance", "process", "queueMicrotask", "self", "setImmediate", "setInterval", "setTimeout",
    "structuredClone",
}  # fmt: skip
LANGUAGE = {
    "AggregateError", "Array", "ArrayBuffer", "AsyncDisposableStack", "BigInt", "BigInt64Array", "BigUint64Array",
    "Boolean", "DataView", "Date", "DisposableStack", "Error", "EvalError", "FinalizationRegistry", "Float16Array",
    "Float32Array", "Float64Array", "Function", "Infinity", "Int16Array", "Int32Array", "Int8Array", "InternalError",
    "Iterator", "JSON", "Map", "Math", "NaN", "Number", "Object", "Promise", "Proxy", "RangeError", "ReferenceError",
    "Reflect", "RegExp", "Set", "SharedArrayBuffer", "String", "SuppressedError", "Symbol", "SyntaxError", "TypeError", "URIError",
    "Uint16Array", "Uint32Array", "Uint8Array", "Uint8ClampedArray", "WeakMap", "WeakRef", "WeakSet", "decodeURI",
    "decodeURIComponent", "encodeURI", "encodeURIComponent", "escape", "eval", "globalThis", "isFinite", "isNaN",
    "parseFloat", "parseInt", "undefined", "unescape",
}  # fmt: skip
SPECIFIERS = (
    "std", "os", "bjson", "qjs:std", "qjs:os", "fs", "node:fs", "node:child_process", "module", "env", "quickjs",
    "wasi_snapshot_preview1", "./other.js", "/etc/passwd", "file:///etc/passwd", "data:text/javascript,export default 1",
    "https://example.org/a.js", "../../../../proc/self/environ", "",
)  # fmt: skip

# Every object that can be reached from the global one and from what calls of its functions return.
WALK = """
const seen = new Set();
function walk(value) {
  const left = [value];
  while (left.length) {
    const next = left.pop();
    if ((typeof next !== "object" && typeof next !== "function") || next === null || seen.has(next)) continue;
    seen.add(next);
    left.push(Object.getPrototypeOf(next));
    for (const key of Reflect.ownKeys(next)) {
      const { value, get, set } = Object.getOwnPropertyDescriptor(next, key);
      left.push(value, get, set);
    }
  }
}
function everything() {
  walk(globalThis);
  for (const value of [function () {}, () => {}, async () => {}, function* () {}, async function* () {}, [].values(),
    new Map().values(), "".matchAll(/a/g), new URLSearchParams().keys(), new Error("x"), import.meta, Promise.resolve(),
    new URL("https://a/").searchParams, new TextDecoder(), new Headers().entries(), new FormData().entries(),
    new Request("https://a/", { method: "POST", body: "x" }), new Response("x").body, new Blob(["x"]).stream().getReader(), new AbortController(), crypto.subtle, (function () { return arguments; })()]) walk(value);
  return [...seen];
}
"""


async def test_global_object_has_the_language_and_the_documented_names(functions: LocalFunctions) -> None:
    names = await functions.value("export const handle = () => Object.getOwnPropertyNames(globalThis);")
    assert isinstance(names, list)
    assert set(names) - LANGUAGE == GLOBALS


async def test_process_says_nothing_of_the_host(functions: LocalFunctions) -> None:
    source = "export const handle = () => ({ names: Object.keys(process), env: process.env, argv: process.argv, place: process.cwd() + process.platform + process.version });"
    assert await functions.value(source) == {
        "names": ["env", "argv", "platform", "version", "versions", "cwd", "nextTick"],
        "env": {},
        "argv": [],
        "place": "/wasi",
    }


@pytest.mark.parametrize("specifier", SPECIFIERS)
async def test_import_reaches_no_module(functions: LocalFunctions, specifier: str) -> None:
    """In each way in which one can be asked for."""
    name = msgspec.json.encode(specifier).decode()
    source = f"""export async function handle() {{
      const ways = [() => import({name}), () => (0, eval)("import(" + {msgspec.json.encode(name).decode()} + ")"),
        () => new Function("return import(" + {msgspec.json.encode(name).decode()} + ")")(),
        () => import({name}, {{ with: {{ type: "json" }} }}), () => import({name}, {{ with: {{ type: "bytes" }} }})];
      const found = [];
      for (const way of ways) {{ try {{ found.push(Object.keys(await way())); }} catch (error) {{ found.push(null); }} }}
      return found;
    }}"""
    assert await functions.value(source) == [None] * 5
    for static in (
        f"import * as found from {name};",
        f"export * from {name};",
        f"import found from {name} with {{ type: 'json' }};",
    ):
        compiled = await functions.compile(f"{static}\nexport const handle = () => 1;")
        assert isinstance(compiled, str)
        assert "root:" not in compiled
    outcome = await functions.call(f"exports.handle = () => require({name});")
    assert outcome.error is None or "cannot find module" in outcome.error
    assert outcome.output is None


@pytest.mark.parametrize(
    "expression",
    [
        "(0, eval)('this') === globalThis",
        "new Function('return this')() === globalThis",
        "console.log.constructor('return this')() === globalThis",
        "process.cwd.constructor('return this')() === globalThis",
        "Math.random.constructor.constructor('return this')() === globalThis",
        "Object.getPrototypeOf(async () => 1).constructor('return typeof std + typeof os + typeof require')() instanceof Promise",
        "new Function('return [typeof std, typeof os, typeof require, typeof module, typeof log, typeof fill, typeof elapsed, typeof remaining].join()')() === Array(8).fill('undefined').join()",
        "(0, eval)('typeof setUp + typeof dispatcher + typeof execution + typeof timers + typeof pending') === 'undefined'.repeat(5)",
    ],
)
async def test_evaluated_code_stays_in_the_global_object(functions: LocalFunctions, expression: str) -> None:
    assert await functions.value(f"export const handle = () => {expression};") is True


async def test_no_function_of_the_host_can_be_reached(functions: LocalFunctions) -> None:
    """They have names of one letter, and only the prelude's closures refer to them."""
    source = f"""{WALK}
    export function handle() {{
      const found = everything().filter((value) => typeof value === "function" && Function.prototype.toString.call(value).includes("[native code]"));
      const names = found.map((value) => Object.getOwnPropertyDescriptor(value, "name")?.value);
      return {{ count: found.length, short: names.filter((name) => typeof name === "string" && name.length === 1) }};
    }}"""
    found = await functions.value(source)
    assert isinstance(found, dict)
    assert found["count"] > 500
    assert found["short"] == []


async def test_no_path_of_the_host_is_in_reachable_texts(functions: LocalFunctions) -> None:
    source = f"""{WALK}
    export function handle() {{
      const texts = [];
      for (const value of everything()) {{
        if (typeof value === "function") texts.push(Function.prototype.toString.call(value));
        for (const key of Reflect.ownKeys(value)) {{
          const text = Object.getOwnPropertyDescriptor(value, key).value;
          if (typeof text === "string") texts.push(text);
        }}
      }}
      for (const fail of [() => new URL("x"), () => structuredClone(() => 1), () => crypto.getRandomValues(1), () => atob("%")]) {{
        try {{ fail(); }} catch (error) {{ texts.push(String(error.stack)); }}
      }}
      Error.prepareStackTrace = (error, sites) => (texts.push(...sites.map(String)), "");
      [1].map(() => new Error("x").stack);
      return [texts.length > 1000, texts.filter((text) => /\\/(?:home|root|usr|tmp|var|opt|work)\\/|node_modules|site-packages/.test(text))];
    }}"""
    assert await functions.value(source) == [True, []]


# name → statements that replace what the prelude uses, then use the prelude
POISONS = {
    "level_of_log": "Array.prototype.indexOf = () => 1e9; console.log('a')",
    "negative_level_of_log": "Array.prototype.indexOf = () => -7; console.log('a')",
    "level_that_is_no_number": "Array.prototype.indexOf = () => ({ valueOf() { throw 1; } }); console.log('a')",
    "symbol_as_level": "Array.prototype.indexOf = () => Symbol('a'); console.log('a')",
    "text_of_log": "String.prototype.replaceAll = () => ({ toString() { throw 1; } }); console.group(); console.log('a')",
    "size_of_random": "globalThis.Uint8Array = function () { return { length: 2 ** 31, toHex: () => 'x' }; }; crypto.randomUUID()",
    "large_random": "const Bytes = Uint8Array; globalThis.Uint8Array = function () { return new Bytes(1 << 20); }; crypto.getRandomValues(new Int8Array(8))",
    "random_into_detached": "const b = new ArrayBuffer(64); const a = new Uint8Array(b); Object.defineProperty(a, 'byteLength', { get() { b.transfer(); return 64; } }); crypto.getRandomValues(a)",
    "random_into_resized": "const b = new ArrayBuffer(64, { maxByteLength: 64 }); const a = new Uint8Array(b); Object.defineProperty(a, 'byteOffset', { get() { b.resize(1); return 0; } }); crypto.getRandomValues(a)",
    "delay": "Math.ceil = () => -1; await new Promise((resolve) => setTimeout(resolve, 2))",
    "delay_that_is_no_number": "Math.ceil = () => NaN; await new Promise((resolve) => setTimeout(resolve, 2))",
    "forged_answer": "Math.ceil = () => '!forged'; await new Promise((resolve) => setTimeout(resolve, 2))",
    "forged_failure": "JSON.stringify = () => '!forged'",
    "answer_without_json": "JSON.stringify = () => '{'",
    "answer_that_is_no_text": "JSON.stringify = () => ({})",
    "answer_with_surrogates": "JSON.stringify = () => '\"\\ud800\\0\"'",
    "answer_that_is_too_long": "JSON.stringify = () => '1'.repeat(20_000_000)",
    "then": "Promise.prototype.then = () => 1",
    "resolve": "Promise.resolve = () => ({ then: 1 })",
    "thenable_everything": "Object.prototype.then = function () {}",
    "iteration": "Array.prototype[Symbol.iterator] = () => { throw new Error('no'); }; console.log('a')",
    "map": "Map.prototype.values = Map.prototype.set = Map.prototype.get = () => { throw new Error('no'); }; console.count(); Promise.reject(1)",
    "timers": "Map.prototype[Symbol.iterator] = () => [[1, { due: -1e308, callback() {}, words: [], interval: null }]].values(); await new Promise((resolve) => setTimeout(resolve, 1))",
    "isError": "Error.isError = () => { throw new Error('no'); }; throw new Error('as meant')",
    "error_message": "throw Object.defineProperty(new Error('x'), 'message', { get() { throw new Error('no'); } })",
    "proxy_of_error": "throw new Proxy(new Error('x'), { get() { throw new Error('no'); }, getPrototypeOf() { throw 1; } })",
    "causes": "const error = new Error('x'); error.cause = error; throw error",
    "no_console": "delete globalThis.console; Promise.reject(new Error('x'))",
    "no_globals": "for (const key of Reflect.ownKeys(globalThis)) { try { delete globalThis[key]; } catch {} }",
    "frozen_everything": "for (const key of Reflect.ownKeys(globalThis)) { try { Object.freeze(globalThis[key]); Object.freeze(globalThis[key].prototype); } catch {} }",
    "replace": "RegExp.prototype[Symbol.replace] = RegExp.prototype.exec = () => { throw new Error('no'); }; throw new Error('x')",
    "fill_of_resized": "const b = new ArrayBuffer(4096, { maxByteLength: 8192 }); new Uint8Array(b).fill({ valueOf() { b.resize(8); return 1; } })",
    "copy_of_resized": "const b = new ArrayBuffer(4096, { maxByteLength: 8192 }); new Uint8Array(b).copyWithin(0, { valueOf() { b.resize(8); return 2048; } })",
    "set_of_detached": "const b = new ArrayBuffer(4096); const a = new Uint8Array(b); a.set({ length: 4096, get 0() { b.transfer(1); return 1; } })",
    "view_of_resized": "const b = new ArrayBuffer(64, { maxByteLength: 64 }); new DataView(b).setFloat64({ valueOf() { b.resize(1); return 40; } }, 1)",
    "sort_of_shrinking": "const a = Array.from({ length: 1000 }, (_, i) => i); a.sort(() => { a.length = 0; return 1; })",
    "splice_of_shrinking": "const a = Array(1000).fill(1); a.splice({ valueOf() { a.length = 1; return 500; } }, 400, 1, 2, 3)",
    "species": "class A extends Array { static get [Symbol.species]() { return function () { return Object.freeze([]); }; } } new A(1, 2, 3).map((x) => x)",
    "length_of_proxy": "Array.prototype.concat.call([], new Proxy([], { get: (_, key) => (key === 'length' ? 2 ** 53 - 1 : Symbol.isConcatSpreadable === key ? true : 1) }))",
    "string_of_replace": "'a'.repeat(100_000).replace(/a/g, () => 'b'.repeat(1000))",
    "head_of_request": "JSON.stringify = () => ({ toString() { throw new Error('no'); } }); await fetch('https://example.org')",
    "head_that_is_no_json": "JSON.stringify = () => '{'; await fetch('https://example.org')",
    "body_that_is_no_body": "String.prototype.isWellFormed = () => false; String.prototype.toWellFormed = () => ({ length: 2 ** 31 }); await fetch('https://example.org', { method: 'POST', body: 'x' })",
    "pending_requests": "Map.prototype.set = () => {}; await fetch('https://example.org')",
    "numbers_of_requests": "Map.prototype[Symbol.iterator] = () => [[NaN, {}], [-1, {}], [2 ** 40, {}], ['x', {}]].values(); await fetch('https://example.org')",
    "bytes_of_texts": "globalThis.Uint8Array = class {}; await new Response(new Blob(['x'])).text()",
    "text_of_no_bytes": "Uint8Array.prototype.slice = () => ({ length: 7 }); await new Response(new ArrayBuffer(8)).text()",
    "detached_body": "const b = new ArrayBuffer(64); Uint8Array.prototype.slice = function () { return this; }; const r = new Response(b); b.transfer(); await r.text()",
    "names_of_secrets": "Object.getOwnPropertyDescriptor = () => { throw new Error('no'); }; process.env.KEY",
    "constructor_of_promise": "class P extends Promise { constructor(run) { super(run); run(() => {}, () => {}); } } await new P((resolve) => resolve(1))",
}  # fmt: skip


@pytest.mark.skipif(pagemap.open_scanner() is None, reason="this kernel has no PAGEMAP_SCAN")
@pytest.mark.parametrize("name", POISONS)
async def test_poisoned_call_harms_neither_the_host_nor_the_next_call(
    functions: LocalFunctions, watch: InstanceWatch, name: str
) -> None:
    """Whatever it does is its own outcome. The next call logs, sleeps and answers as if it were the first."""
    source = f"""export async function handle(input) {{
      if (input.poison) {{ {POISONS[name]}; return "poisoned"; }}
      console.log("level", crypto.randomUUID().length, [1, 2].indexOf(2));
      if (input.sleep) await new Promise((resolve) => setTimeout(resolve, 1));
      return [typeof URL, await Promise.resolve(1), Math.ceil(0.5), new Error("x").message];
    }}"""
    binary = (await deployed(functions, source, Surroundings(secrets=["KEY"]))).binary
    limits = msgspec.structs.replace(functions.local.runtime.limits, time=0.3)
    function = WebFunction(functions, binary, Reach(secrets={"KEY": "value"}, open_session=RefusingSession))
    with capture_logs() as logs:
        for number in range(MAX_ROUNDS):
            await function.call(b'{"poison": true}', limits)
            outcome = await function.call(b'{"sleep": true}' if number % 4 == 0 else b"{}")
            assert (outcome.output, outcome.error, outcome.logs) == (b'["function",1,1,"x"]', None, "level 36 1")
            if number >= MIN_ROUNDS and watch.restored:
                break
    assert watch.restored
    # A busy machine may stall the ticker. A host function that failed, or the runtime, would be logged too.
    assert {entry["event"] for entry in logs if entry["log_level"] not in {"debug", "info"}} <= {"epoch_ticker.stalled"}


# name → statements of a function of the contract fetch that replace what its answer is written with
SERVE_POISONS = {
    "head_that_is_no_json": "JSON.stringify = () => '{'; return new Response('x', { status: 201 })",
    "head_that_is_no_text": "JSON.stringify = () => ({ toString() { throw new Error('no'); } }); return new Response('x', { status: 201 })",
    "head_with_another_status": "JSON.stringify = () => '{\"status\":1e9}'; return new Response('x', { status: 201 })",
    "head_with_line_ends": "JSON.stringify = () => '{\"status\":200,\"headers\":[[\"a\",\"b\\r\\nc: d\"]]}'; return new Response('x', { status: 201 })",
    "large_head": "return new Response('x', { headers: Array.from({ length: 3000 }, (_, i) => [`x-${i}`, 'y'.repeat(90)]) })",
    "body_that_is_no_text": "String.prototype.isWellFormed = () => false; String.prototype.toWellFormed = () => ({ length: 2 ** 31 }); return new Response('x')",
    "detached_body": "Uint8Array.prototype.slice = function () { return this; }; const b = new ArrayBuffer(64); const r = new Response(b); b.transfer(); return r",
    "resized_body": "Uint8Array.prototype.slice = function () { return this; }; const b = new ArrayBuffer(4096, { maxByteLength: 4096 }); const r = new Response(b); b.resize(1); return r",
    "frozen_classes": "for (const c of [Request, Response, Headers]) { Object.freeze(c.prototype); } return new Response('x')",
    "response_of_another_class": "return Object.create(Response.prototype)",
    "proxy_of_response": "return new Proxy(new Response('x'), {})",
    "headers_with_getter": "Object.defineProperty(Object.prototype, '0', { get() { throw new Error('no'); }, set() { throw new Error('no'); }, configurable: true }); return new Response('x', { headers: { a: 'b' } })",
    "no_globals": "for (const key of Reflect.ownKeys(globalThis)) { try { delete globalThis[key]; } catch {} } return request.text().then(() => Response.json(1))",
}  # fmt: skip


@pytest.mark.skipif(pagemap.open_scanner() is None, reason="this kernel has no PAGEMAP_SCAN")
@pytest.mark.parametrize("name", SERVE_POISONS)
async def test_poisoned_response_harms_neither_the_host_nor_the_next_call(
    functions: LocalFunctions, watch: InstanceWatch, name: str
) -> None:
    source = f"""export default {{ async fetch(request) {{
      if (request.method === "GET") {{ {SERVE_POISONS[name]}; }}
      return new Response(await request.text(), {{ headers: {{ "x-typed": typeof URL }} }});
    }} }};"""
    function = await deployed(functions, source)
    with capture_logs() as logs:
        for number in range(MAX_ROUNDS):
            await function.call(get())
            response = await function.respond(post(f"body-{number}".encode()))
            assert (response.status, response.body) == (200, f"body-{number}".encode())
            assert response.headers[0] == ("x-typed", "function")
            if number >= MIN_ROUNDS and watch.restored:
                break
    assert watch.restored
    assert {entry["event"] for entry in logs if entry["log_level"] not in {"debug", "info"}} <= {"epoch_ticker.stalled"}

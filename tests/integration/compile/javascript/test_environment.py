"""What JavaScript finds beside the language: the web platform, timers, the console, time and randomness."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.helpers.local_functions import LocalFunctions

EXPRESSIONS = [
    ("new URL('../c?x=1#y', 'https://user:p@exämple.org:8080/a/b').href", "https://user:p@xn--exmple-cua.org:8080/c?x=1#y"),
    ("new URL('HTTPS://EXAMPLE.org:443/%7Ea/./b').href", "https://example.org/%7Ea/b"),
    ("URL.canParse('nope')", False),
    ("[...new URLSearchParams('a=1&b=%20x+y&a=2')].join(';')", "a,1;b, x y;a,2"),
    ("String(new URLSearchParams({ q: 'é &' }))", "q=%C3%A9+%26"),
    ("[...new TextEncoder().encode('é€😀')].length", 9),
    ("new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0xc3, 0xa9, 0xff]))", "é�"),
    ("new TextDecoder('utf-16le').decode(new Uint8Array([0x61, 0x00, 0xe9, 0x00]))", "aé"),
    ("new TextDecoder('windows-1252').decode(new Uint8Array([0x80]))", "€"),
    ("structuredClone(new Map([[1, { d: new Date(0), s: new Set([2]), b: new Uint8Array([3]) }]])).get(1).b[0]", 3),
    ("(() => { const a = { }; a.a = a; const b = structuredClone(a); return b.a === b && b !== a; })()", True),
    ("atob(btoa('hello'))", "hello"),
    ("crypto.getRandomValues(new Uint32Array(3)).length", 3),
    ("/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())", True),
    ("typeof queueMicrotask + typeof performance.now() + typeof globalThis.self", "functionnumberobject"),
    ("new Date(2024, 0, 31).getTimezoneOffset()", 0),
    ("Object.groupBy([1, 2, 3], (x) => x % 2 ? 'odd' : 'even').odd.length", 2),
    ("new Set([1, 2]).union(new Set([3])).size", 3),
    ("[3, 1, 2].toSorted().with(0, 9).join()", "9,2,3"),
    ("Iterator.from([1, 2, 3]).map((x) => x * 2).toArray().join()", "2,4,6"),
    ("/(?<year>\\d{4})/v.exec('in 2024').groups.year", "2024"),
    ("Uint8Array.fromBase64('aGk=').toHex()", "6869"),
    ("new Error('m', { cause: 1 }).stack.split('\\n')[0]", "Error: m"),
    ("URL.name + TextEncoder.name + structuredClone.name", "URLTextEncoderstructuredClone"),
    ("process.env.HOME ?? 'none'", "none"),
    ("[typeof WebSocket, typeof WebAssembly, typeof Intl, typeof Buffer, typeof require].join()", "undefined,undefined,undefined,undefined,undefined"),
]  # fmt: skip

SHA_OF_ABC = {
    "SHA-1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "SHA-256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "SHA-384": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    "SHA-512": (
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    ),
}


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS)
async def test_expression_has_the_value_of_the_web_platform(
    functions: LocalFunctions, expression: str, value: object
) -> None:
    assert await functions.value(f"export const handle = () => {expression};") == value


@pytest.mark.parametrize("algorithm", SHA_OF_ABC)
async def test_subtle_digest_of_known_text(functions: LocalFunctions, algorithm: str) -> None:
    source = f"""export async function handle() {{
      const digest = await crypto.subtle.digest("{algorithm}", new TextEncoder().encode("abc"));
      return new Uint8Array(digest).toHex();
    }}"""
    assert await functions.value(source) == SHA_OF_ABC[algorithm]


async def test_randomness_is_new_in_each_call(functions: LocalFunctions) -> None:
    source = """export const handle = () => [
      Math.random(), Math.random(), crypto.randomUUID(), crypto.getRandomValues(new Uint32Array(2)).join(),
    ].map(String);"""
    seen = [await functions.value(source) for _ in range(20)]
    assert len({text for values in seen for text in values}) == 80  # type: ignore[attr-defined]


async def test_random_numbers_are_uniform(functions: LocalFunctions) -> None:
    source = """export function handle() {
      const counts = new Array(10).fill(0);
      for (let i = 0; i < 20000; i++) counts[Math.floor(Math.random() * 10)]++;
      return counts;
    }"""
    counts = await functions.value(source)
    assert isinstance(counts, list)
    assert sum(counts) == 20_000
    assert all(1700 < count < 2300 for count in counts)


async def test_clock_is_right_in_calls_and_fixed_at_top_level(functions: LocalFunctions) -> None:
    source = "const start = Date.now();\nexport const handle = () => ({ start, now: Date.now(), text: new Date() });"
    for _ in range(2):
        value = await functions.value(source)
        assert isinstance(value, dict)
        assert value["start"] == 0
        assert abs(value["now"] / 1000 - time.time()) < 5
        assert datetime.now(UTC) - datetime.fromisoformat(value["text"]) < timedelta(seconds=5)


async def test_timers_run_in_order_and_really_wait(functions: LocalFunctions) -> None:
    source = """export async function handle() {
      const seen = [];
      const began = performance.now();
      setTimeout(() => seen.push("40"), 40);
      setTimeout((word) => seen.push(word), 10, "10");
      clearTimeout(setTimeout(() => seen.push("never"), 5));
      setImmediate(() => seen.push("immediate"));
      let ticks = 0;
      const interval = setInterval(() => { if (++ticks === 3) clearInterval(interval); }, 15);
      queueMicrotask(() => seen.push("micro"));
      await new Promise((resolve) => setTimeout(resolve, 60));
      return { seen, ticks, waited: performance.now() - began >= 60 };
    }"""
    began = time.perf_counter()
    expected = {"seen": ["micro", "immediate", "10", "40"], "ticks": 3, "waited": True}
    assert await functions.value(source) == expected
    assert time.perf_counter() - began >= 0.06


async def test_sleeping_function_is_not_run_on_the_event_loop(functions: LocalFunctions) -> None:
    source = "export const handle = () => new Promise((resolve) => setTimeout(resolve, 30, 7));"
    binary = await functions.compile(source)
    assert isinstance(binary, bytes)
    assert [(await functions.run(binary)).output for _ in range(8)] == [b"7"] * 8


@pytest.mark.alone
async def test_timers_that_are_left_do_not_delay_the_answer(functions: LocalFunctions) -> None:
    source = "export const handle = () => { setTimeout(() => console.log('late'), 1900); return 1; };"
    binary = await functions.compile(source)
    assert isinstance(binary, bytes)
    await functions.run(binary)  # the first run loads the engine
    began = time.perf_counter()
    outcome = await functions.run(binary)
    assert (outcome.output, outcome.logs) == (b"1", None)
    assert time.perf_counter() - began < 0.5


async def test_console_is_formatted_as_in_node(functions: LocalFunctions) -> None:
    source = """export function handle() {
      console.log("%s is %d", "a", 5, { x: [1, { y: new Date(0) }], m: new Map([["k", 1]]) }, null, undefined, 1n);
      console.warn("two\\nlines");
      console.error(new TypeError("shown"));
      console.group("group");
      console.info("inside");
      console.groupEnd();
      console.assert(1 === 2, "not %s", "equal");
      console.count();
      console.log({ get [Symbol.toStringTag]() { throw 1; } });
      console.debug(function named() {}, class A {}, Symbol("s"));
    }"""
    outcome = await functions.call(source)
    assert outcome.error is None
    assert outcome.logs is not None
    lines = outcome.logs.splitlines()
    assert lines[0] == "a is 5 { x: [ 1, { y: 1970-01-01T00:00:00.000Z } ], m: Map(1) { 'k' => 1 } } null undefined 1n"
    assert lines[1:3] == ["warn: two", "lines"]
    assert lines[3:5] == ["error: TypeError: shown", "    at handle (function.js:4:25)"]
    assert lines[5:9] == ["group", "info:   inside", "error: Assertion failed: not equal", "default: 1"]
    assert lines[-1] == "debug: [Function: named] [class A] Symbol(s)"


async def test_unhandled_rejection_is_logged(functions: LocalFunctions) -> None:
    source = """export async function handle() {
      Promise.reject(new Error("lost"));
      const handled = Promise.reject(new Error("handled later"));
      await null;
      await handled.catch(() => {});
      return 1;
    }"""
    outcome = await functions.call(source)
    assert outcome.output == b"1"
    assert outcome.logs == "error: Unhandled rejection: Error: lost\n    at handle (function.js:2:26)"


async def test_logs_are_cut_at_the_limit(functions: LocalFunctions) -> None:
    outcome = await functions.call(
        "export const handle = () => { for (let i = 0; i < 100; i++) console.log('é'.repeat(5000)); };"
    )
    assert outcome.logs is not None
    assert 60_000 < len(outcome.logs) <= 65_536 + 100
    assert outcome.logs.endswith("cut: the log limit is reached")

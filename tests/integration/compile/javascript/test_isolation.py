"""Attempts of a function to leave something for its next call, or to find something of an earlier one.

Each attempt writes in one call and looks in the next, until the instance of the first was restored for the second a few
times. Every restored instance is compared with a fresh one as well, so what no attempt looks at is found too.
"""

import asyncio
from typing import Any

import msgspec
import pytest

from faas.runtime import pagemap
from faas.runtime.limits import Limits
from faas.runtime.outcome import Outcome
from tests.helpers.instance_watch import InstanceWatch
from tests.helpers.local_functions import LocalFunctions

pytestmark = pytest.mark.skipif(pagemap.open_scanner() is None, reason="this kernel has no PAGEMAP_SCAN")

REUSES = 3  # of the instance of a writing call by the looking call after it
MAX_ROUNDS = 60  # a busy machine interrupts some calls, which ends their instances

# name → (how to leave `secret`, an expression that finds it)
ATTEMPTS = {
    "global": ("globalThis.kept = secret", "globalThis.kept"),
    "constant_global": ("Object.defineProperty(globalThis, 'kept', { value: secret })", "'kept' in globalThis"),
    "global_by_eval": ("(0, eval)('var kept = 1')", "'kept' in globalThis"),
    "global_by_function": ("new Function('kept = 1')()", "'kept' in globalThis"),
    "deleted_global": ("delete globalThis.URL", "typeof URL === 'undefined'"),
    "closed_global_object": ("Object.preventExtensions(globalThis)", "!Object.isExtensible(globalThis)"),
    "variable": ("variable = secret", "variable"),
    "input": ("variable = input", "variable"),
    "large_string": ("variable = secret.repeat(5000)", "variable"),
    "array": ("LIST.push(secret)", "LIST.length"),
    "map": ("MAP.set(secret, secret)", "MAP.size"),
    "property_name": ("OBJECT[secret] = 1", "Object.keys(OBJECT).length"),
    "symbol_key": ("globalThis[Symbol.for('kept')] = secret", "globalThis[Symbol.for('kept')]"),
    "private_field": ("Class.set(secret)", "Class.get()"),
    "function_property": ("handle.kept = secret", "handle.kept"),
    "import_meta": ("import.meta.kept = secret", "import.meta.kept"),
    "closure": ("closure(secret)", "closure()"),
    "generator": ("GENERATOR.next(secret)", "GENERATOR.next().value"),
    "async_generator": ("await ASYNC_GENERATOR.next(secret)", "(await ASYNC_GENERATOR.next()).value"),
    "iterator": ("ITERATOR.next()", "ITERATOR.next().value !== 'first'"),
    "parked_function": ("park(secret)", "(DEFERRED.resolve(), await null, LIST.length)"),
    "settled_promise": ("DEFERRED.resolve(secret)", "await Promise.race([DEFERRED.promise, Promise.resolve()])"),
    "microtasks": ("(async () => { await jobs(50); LIST.push(secret); })()", "(await jobs(200), LIST.length)"),
    "next_tick": ("process.nextTick(() => LIST.push(secret))", "(await jobs(9), LIST.length)"),
    "timer": ("setTimeout(() => LIST.push(secret), 0)", "(await sleep(2), LIST.length)"),
    "interval": ("setInterval(() => LIST.push(secret), 1)", "(await sleep(5), LIST.length)"),
    "timer_number": ("clearTimeout(setTimeout(() => 0, 1))", "Number(setTimeout(() => 0, 0)) !== 1"),
    "weak_map": ("WEAK.set(globalThis, secret)", "WEAK.has(globalThis)"),
    "weak_map_of_template": ("WEAK.set(template(), secret)", "WEAK.has(template())"),
    "weak_reference": ("REFERENCES.push(new WeakRef(WEAK))", "REFERENCES[0]?.deref()"),
    "finalizer": ("REGISTRY.register({}, secret)", "(await jobs(9), LIST.length)"),
    "regular_expression": ("REGEXP.exec('aa')", "REGEXP.lastIndex"),
    "decoder": ("DECODER.decode(new Uint8Array([0xe2, 0x82]), { stream: true })", "DECODER.decode(new Uint8Array([0xac])) === '€'"),
    "url": ("PLACE.searchParams.append('kept', secret)", "PLACE.search"),
    "typed_array": ("BYTES.fill(7)", "BYTES.some(Boolean)"),
    "shared_buffer": ("new Uint8Array(SHARED).fill(115)", "new Uint8Array(SHARED)[0]"),
    "resized_buffer": ("RESIZABLE.resize(65536)", "RESIZABLE.byteLength !== 8"),
    "detached_buffer": ("DETACHABLE.transfer()", "DETACHABLE.detached"),
    "date": ("DATE.setFullYear(2001)", "DATE.getFullYear() === 2001"),
    "object_prototype": ("Object.prototype.kept = secret", "({}).kept"),
    "object_getter": ("Object.defineProperty(Object.prototype, 'look', { get: () => secret, configurable: true })", "({}).look"),
    "object_setter": ("Object.defineProperty(Object.prototype, 'secret', { set(value) { LIST.push(value); }, configurable: true })", "(({}).secret = 1, LIST.length)"),
    "array_setter": ("Object.defineProperty(Array.prototype, '0', { set(value) { variable = value; }, configurable: true })", "([][0] = 1, variable)"),
    "frozen_prototype": ("Object.freeze(Object.prototype)", "Object.isFrozen(Object.prototype)"),
    "prototype_of_prototype": ("Object.setPrototypeOf(Array.prototype, { kept: secret })", "[].kept"),
    "function_prototype": ("Function.prototype.kept = secret", "handle.kept"),
    "async_function_prototype": ("Object.getPrototypeOf(handle).kept = secret", "(async () => 1).kept"),
    "iterator_prototype": ("Iterator.prototype.kept = secret", "[].values().kept"),
    "typed_array_prototype": ("Object.getPrototypeOf(Uint8Array.prototype).kept = secret", "BYTES.kept"),
    "symbol_prototype": ("Symbol.prototype.kept = secret", "Symbol.iterator.kept"),
    "url_prototype": ("URL.prototype.kept = secret", "PLACE.kept"),
    "replaced_method": ("Array.prototype.map = () => secret", "[1].map((x) => x) === undefined || Array.prototype.map.name !== 'map'"),
    "replaced_iteration": ("const iterate = [][Symbol.iterator]; Array.prototype[Symbol.iterator] = function () { variable = secret; return iterate.call(this); }", "([...[]], variable)"),
    "replaced_then": ("const then = Promise.prototype.then; Promise.prototype.then = function (...words) { variable = secret; return then.apply(this, words); }", "(Promise.resolve().then(), variable)"),
    "replaced_parse": ("JSON.parse = () => secret", "JSON.parse('1') !== 1"),
    "replaced_stringify": ("const write = JSON.stringify; JSON.stringify = (value) => write(value)", "JSON.stringify.name !== 'stringify'"),
    "replaced_stack": ("Object.defineProperty(Error.prototype, 'stack', { get: () => secret })", "new Error('x').stack.startsWith('secret')"),
    "stack_hook": ("Error.prepareStackTrace = () => secret", "Error.prepareStackTrace"),
    "stack_limit": ("Error.stackTraceLimit = 1", "Error.stackTraceLimit === 1"),
    "replaced_clock": ("Date.now = () => 42", "Date.now() === 42"),
    "replaced_random": ("Math.random = () => 0.5", "Math.random() === 0.5"),
    "replaced_crypto": ("crypto.randomUUID = () => secret", "crypto.randomUUID().startsWith('secret')"),
    "replaced_console": ("console.log = () => secret", "console.log() !== undefined"),
    "replaced_timer": ("globalThis.setTimeout = () => secret", "setTimeout(() => 0) === secret || typeof setTimeout(() => 0) === 'string'"),
    "replaced_microtask": ("globalThis.queueMicrotask = () => secret", "queueMicrotask(() => 0) !== undefined"),
    "performance": ("performance.now = () => -1", "performance.now() === -1"),
    "environment": ("process.env.KEPT = secret", "process.env.KEPT"),
    "process": ("process.kept = secret", "process.kept"),
    "bigint_prototype": ("BigInt.prototype.toJSON = () => secret", "BigInt.prototype.toJSON"),
}  # fmt: skip
PREFIX = """
let variable;
const LIST = [], MAP = new Map(), OBJECT = {}, WEAK = new WeakMap(), REFERENCES = [], REGEXP = /a/g;
const BYTES = new Uint8Array(100_000), RESIZABLE = new ArrayBuffer(8, { maxByteLength: 1 << 20 });
const SHARED = new SharedArrayBuffer(64);
const DETACHABLE = new ArrayBuffer(8), DATE = new Date(0), DECODER = new TextDecoder();
const PLACE = new URL("https://example.org/"), DEFERRED = Promise.withResolvers();
const REGISTRY = new FinalizationRegistry((value) => LIST.push(value));
class Class { static #kept; static set(value) { Class.#kept = value; } static get() { return Class.#kept; } }
const closure = (() => { let kept; return (value) => { const found = kept; kept = value ?? kept; return found; }; })();
function* generate() { let found; for (;;) found = (yield found) ?? found; }
async function* generateLater() { let found; for (;;) found = (yield found) ?? found; }
const GENERATOR = generate(), ASYNC_GENERATOR = generateLater(), ITERATOR = ["first", "second"].values();
GENERATOR.next();
await ASYNC_GENERATOR.next();
const template = () => ((strings) => strings)`text`;
async function park(value) { await DEFERRED.promise; LIST.push(value); }
async function jobs(count) { for (let i = 0; i < count; i++) await null; }
const sleep = (delay) => new Promise((resolve) => setTimeout(resolve, delay));
function ran(secret) { console.log("ran"); LIST.push(secret); globalThis.kept = secret; }
function dirty() {
  for (const size of [8, 64, 1000, 5000, 30_000]) {
    for (let i = 0; i < 10; i++) {
      const resized = new ArrayBuffer(8, { maxByteLength: size });
      resized.resize(size);
      const buffers = [new ArrayBuffer(size), resized, new ArrayBuffer(8).transfer(size), new Float64Array(size / 8).buffer];
      if (buffers.some((buffer) => new Uint8Array(buffer).includes(115))) return true; // the s of secrets
    }
  }
  return false;
}
"""


def source_of(leave: str, find: str, result: str = "null") -> str:
    """A function that leaves something where its input has a `secret`, and says what it found where that says `look`."""
    return f"""{PREFIX}
export async function handle(input) {{
  const secret = input.secret;
  if (secret) {{ {leave}; }}
  if (input.look) return Boolean({find});
  return {result};
}}"""


class Caller:
    """Calls functions, and knows which instances they had."""

    def __init__(self, functions: LocalFunctions, watch: InstanceWatch) -> None:
        self.functions = functions
        self.watch = watch

    async def image(self, source: str) -> bytes:
        binary = await self.functions.compile(source)
        assert isinstance(binary, bytes), binary
        return binary

    async def run(self, binary: bytes, limits: Limits | None = None, **document: Any) -> Outcome:
        return await self.functions.run(binary, msgspec.json.encode(document), limits)

    async def value(self, binary: bytes, **document: Any) -> Any:
        outcome = await self.run(binary, **document)
        assert outcome.error is None, outcome.error
        assert outcome.output is not None
        return msgspec.json.decode(outcome.output)


@pytest.fixture
def caller(functions: LocalFunctions, watch: InstanceWatch) -> Caller:
    return Caller(functions, watch)


@pytest.mark.parametrize("name", ATTEMPTS)
async def test_javascript_function_finds_nothing_of_its_earlier_calls(caller: Caller, name: str) -> None:
    binary = await caller.image(source_of(*ATTEMPTS[name]))
    assert await caller.value(binary, look=True) is False
    assert await caller.value(binary, secret="secret-of-0", look=True) is True  # the attempt finds what there is
    reuses = 0
    for number in range(MAX_ROUNDS):
        await caller.value(binary, secret=f"secret-of-{number}")
        written = caller.watch.last
        outcome = await caller.run(binary, look=True)
        assert (outcome.output, outcome.error) == (b"false", None)
        assert "secret" not in (outcome.logs or "")
        reuses += caller.watch.last is written
        if reuses == REUSES:
            return
    pytest.fail(f"{reuses} of {MAX_ROUNDS} looking calls had the instance of the call before")


# What the author's code does after it has returned, while its result is written as JSON. `ran()` says that it did.
RESULTS = {
    "getter": "({ get x() { ran(secret); return 1; } })",
    "to_json": "({ toJSON() { ran(secret); return 1; } })",
    "proxy": "new Proxy({ a: 1 }, { ownKeys(target) { ran(secret); return Reflect.ownKeys(target); } })",
    "proxy_of_array": "new Proxy([1], { get(target, key) { ran(secret); return target[key]; } })",
    "thenable": "({ then(resolve) { ran(secret); resolve(1); } })",
    "thenable_twice": "({ then(resolve) { resolve(1); ran(secret); resolve(2); } })",
    "date": "new (class extends Date { toJSON() { ran(secret); return ''; } })(0)",
    "late_promise": "sleep(1).then(() => ran(secret))",
    "left_by_result": "({ toJSON() { jobs(9).then(() => ran(secret)); ran(secret); return 1; } })",
}


@pytest.mark.parametrize("name", RESULTS)
async def test_javascript_function_finds_nothing_that_its_result_left(caller: Caller, name: str) -> None:
    binary = await caller.image(source_of("", "LIST.length || globalThis.kept", f"secret ? {RESULTS[name]} : null"))
    reuses = 0
    for number in range(MAX_ROUNDS):
        outcome = await caller.run(binary, secret=f"secret-of-{number}")
        assert outcome.error is None
        assert "ran" in (outcome.logs or "")
        written = caller.watch.last
        assert await caller.value(binary, look=True) is False
        reuses += caller.watch.last is written
        if reuses == REUSES:
            return
    pytest.fail(f"{reuses} of {MAX_ROUNDS} looking calls had the instance of the call before")


# Ends of a call without a result: those after which the instance is restored, and those after which it is thrown away.
FAILURES = {
    "exception": "throw new Error(secret)",
    "exception_that_is_no_error": "throw secret",
    "rejection": "await Promise.reject(new Error(secret))",
    "unhandled_rejection": "Promise.reject(new Error(secret)); throw secret",
    "never_settled": "await new Promise(() => 0)",
    "recursion": "(function again() { return again() + 1; })()",
    "recursion_of_toString": "let deep = []; for (let i = 0; i < 2000; i++) deep = [deep]; String(deep)",
    "buffer_that_is_too_large": "new ArrayBuffer(2 ** 53 - 1)",
    "string_that_is_too_long": "'x'.repeat(2 ** 30)",
    "array_that_is_too_long": "new Array(-1)",
    "result_in_a_circle": "return LIST.push(LIST), LIST",
    "result_without_json": "return { a: 1n }",
    "result_that_throws": "return { toJSON() { throw new Error(secret); } }",
    "result_that_is_revoked": "const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return [proxy]",
}
TRAPS = {
    "time": "for (;;) ;",
    "time_in_regular_expression": "/^(a+)+$/.test('a'.repeat(50) + 'b')",
    "time_in_jobs": "for (;;) await null",
    "time_in_sleep": "await sleep(100_000)",
    "stack_in_json": "JSON.parse('['.repeat(200_000))",
    "memory": "const all = []; for (;;) all.push(new Uint8Array(1 << 20).fill(115))",
    "memory_in_strings": "const all = []; for (let i = 0; ; i++) all.push((secret + i).repeat(10_000))",
}


@pytest.mark.parametrize("name", FAILURES)
async def test_javascript_function_finds_nothing_of_a_failed_call(caller: Caller, name: str) -> None:
    leave = f"LIST.push(secret); globalThis.kept = secret; BYTES.fill(115); {FAILURES[name]}"
    binary = await caller.image(source_of(leave, "LIST.length || globalThis.kept || BYTES.some(Boolean) || dirty()"))
    reuses = 0
    for number in range(MAX_ROUNDS):
        outcome = await caller.run(binary, secret=f"secret-of-{number}")
        assert outcome.error is not None
        written = caller.watch.last
        outcome = await caller.run(binary, look=True)
        assert (outcome.output, outcome.error, outcome.logs) == (b"false", None, None)
        reuses += caller.watch.last is written
        if reuses == REUSES:
            return
    pytest.fail(f"{reuses} of {MAX_ROUNDS} looking calls had the instance of the call before")


@pytest.mark.parametrize("name", TRAPS)
async def test_javascript_function_finds_nothing_of_an_interrupted_call(caller: Caller, name: str) -> None:
    leave = f"LIST.push(secret); globalThis.kept = secret; BYTES.fill(115); {TRAPS[name]}"
    binary = await caller.image(source_of(leave, "LIST.length || globalThis.kept || BYTES.some(Boolean) || dirty()"))
    limits = msgspec.structs.replace(caller.functions.local.runtime.limits, time=0.3)
    for number in range(2):
        restored = caller.watch.restored
        for _ in range(MAX_ROUNDS):
            assert await caller.value(binary, look=True) is False
            if caller.watch.restored > restored:
                break
        outcome = await caller.run(binary, limits, secret=f"secret-of-{number}")
        assert "limit" in (outcome.error or "")
        written = caller.watch.last
        outcome = await caller.run(binary, look=True)
        assert (outcome.output, outcome.error, outcome.logs) == (b"false", None, None)
        assert caller.watch.last is not written
    assert caller.watch.restored >= 2


async def test_javascript_function_finds_nothing_of_another_function(caller: Caller) -> None:
    leave = (
        "LIST.push(secret); globalThis.kept = secret; Object.prototype.kept = secret; new Uint8Array(100_000).fill(115)"
    )
    find = "LIST.length || globalThis.kept || ({}).kept || dirty()"
    writer = await caller.image(source_of(leave, "0", "'writer'"))
    reader = await caller.image(source_of("", find, "'reader'"))
    for number in range(30):
        assert await caller.value(writer, secret=f"secret-of-{number}") == "writer"
        assert await caller.value(reader, look=True) is False
    assert caller.watch.restored > 5


async def test_javascript_calls_at_once_find_nothing_of_each_other(caller: Caller) -> None:
    """Of three functions, inline and in threads, some of them asleep at the same time."""
    leave = "LIST.push(secret); globalThis.kept = (globalThis.kept ?? '') + secret; if (input.delay) await sleep(input.delay)"
    find = "LIST.length || globalThis.kept || dirty()"
    binaries = [
        await caller.image(source_of(leave, find, f"['function {number}', LIST.join(), globalThis.kept]"))
        for number in range(3)
    ]

    async def write(number: int, secret: str, delay: int, padding: int) -> None:
        found = await caller.value(binaries[number], secret=secret, delay=delay, padding="x" * padding)
        assert found == [f"function {number}", secret, secret]

    async def look(number: int) -> None:
        assert await caller.value(binaries[number], look=True) is False

    for round_number in range(8):
        calls = []
        for call in range(24):
            secret = f"secret-of-{round_number}-{call}"
            calls.append(write(call % 3, secret, (0, 0, 2)[call // 3 % 3], (0, 100_000)[call // 9 % 2]))
            calls.append(look(call % 3))
        await asyncio.gather(*calls)
    assert caller.watch.restored > 20


async def test_javascript_console_begins_again_in_each_call(caller: Caller) -> None:
    binary = await caller.image("""export function handle() {
      console.log("text");
      console.count("calls");
      console.timeLog("left");
      console.group("group");
      console.time("left");
    }""")
    for _ in range(40):
        assert (await caller.run(binary)).logs == "text\ncalls: 1\ngroup"
    assert caller.watch.restored


async def test_javascript_randomness_does_not_begin_again_in_a_restored_instance(caller: Caller) -> None:
    binary = await caller.image(
        "export const handle = () => [Math.random(), crypto.randomUUID(), crypto.getRandomValues(new Uint32Array(2)).join()]"
    )
    seen = [str(text) for _ in range(40) for text in await caller.value(binary)]
    assert len(set(seen)) == 120
    assert caller.watch.restored


async def test_lambda_context_begins_again_in_each_call(caller: Caller) -> None:
    binary = await caller.image("""export async function handler(event, context) {
      const found = [context.kept, context.awsRequestId];
      context.kept = Object.getPrototypeOf(context).kept = context.getRemainingTimeInMillis.kept = "secret";
      return found;
    }""")
    seen = [await caller.value(binary) for _ in range(40)]
    assert {kept for kept, _ in seen} == {None}
    assert len({request for _, request in seen}) == 40
    assert caller.watch.restored


async def test_javascript_source_finds_nothing_of_another_source(caller: Caller) -> None:
    """Their top levels are evaluated in the same worker process, one after the other."""
    find = "'kept' in globalThis || ({}).kept || [].map.name !== 'map' || Error.prepareStackTrace || dirty()"
    reader = f"{PREFIX}\nconst found = Boolean({find});\nexport const handle = () => found || Boolean({find});"
    before = await caller.image(reader)
    for ending in (
        "",
        "throw new Error('as meant')",
        "(function again() { return again() + 1; })()",
        "JSON.parse('['.repeat(200_000))",
    ):
        await caller.functions.compile(
            f"globalThis.kept = 'secret'; Object.prototype.kept = 'secret'; [].__proto__.map = () => 0;"
            f"Error.prepareStackTrace = () => 'secret'; new Uint8Array(1 << 20).fill(115); {ending};"
            "export const handle = () => globalThis.kept;"
        )
        assert await caller.image(reader) == before
    assert await caller.value(before) is False

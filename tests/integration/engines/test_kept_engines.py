"""Kept instances of the real engines: every byte is the image's before each call, whatever the calls before it did."""

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator

import msgspec
import pytest

from faas import settings
from faas.bootstrap.compilers import LocalRuntime, open_local_runtime
from faas.compile.outcome import Compiled
from faas.runtime import Outcome, abi, kept_instances, pagemap
from faas.runtime.abi.convention import CallingConvention
from faas.runtime.c_api import ffi
from faas.runtime.engine_module import FunctionImage
from faas.runtime.images import WASM_PAGE_BYTES, parse
from faas.runtime.instance import Instance
from faas.runtime.restorable_instance import RestorableInstance

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(pagemap.open_scanner() is None, reason="this kernel has no PAGEMAP_SCAN"),
]

JAVASCRIPT = """
const secret = "function %d";
let calls = 0;
const seen = new Map();
class Item { constructor(name, price) { this.name = name; this.price = price; } }
export async function handle(input) {
  calls++;
  seen.set(input.n, new Item(secret, input.n));
  globalThis.left = (globalThis.left ?? 0) + 1;
  if (input.do === "throw") { throw new TypeError("as asked " + input.n); }
  if (input.do === "reject") { await Promise.reject(new Error("as asked")); }
  if (input.do === "loop") { for (;;) {} }
  if (input.do === "recurse") { const again = () => again() + 1; return again(); }
  if (input.do === "memory") { const all = []; for (let i = 0; i < 20; i++) { all.push("x".repeat(100000) + i); } return all.length; }
  if (input.do === "class") { Array.prototype.left = 1; Object.freeze(Array.prototype); return [calls, "left" in []]; }
  if (input.do === "random") { return [Math.random(), crypto.randomUUID()].length; }
  if (input.do === "print") { console.log("x".repeat(input.n), new Error("shown")); return calls; }
  if (input.do === "regexp") { return "abc".repeat(input.n).replace(/(a)(b)/g, "$2$1").length; }
  return [calls, globalThis.left, seen.size, secret, input.text?.length ?? 0];
}
"""

PYTHON = """
import collections, dataclasses, decimal, json, random, re
secret = "function %d"
calls = 0
seen = {}
@dataclasses.dataclass
class Item:
    name: str
    price: decimal.Decimal
def handle(input):
    global calls
    calls += 1
    seen[input["n"]] = Item(secret, decimal.Decimal(input["n"]))
    do = input.get("do")
    if do == "throw":
        raise TypeError("as asked")
    if do == "reject":
        return input["missing"]
    if do == "loop":
        while True:
            pass
    if do == "recurse":
        def again():
            return again() + 1
        return again()
    if do == "memory":
        return len([[number] for number in range(30000)])
    if do == "class":
        import builtins
        builtins.left = getattr(builtins, "left", 0) + 1
        json.left = getattr(json, "left", 0) + 1
        return [calls, builtins.left, json.left]
    if do == "random":
        return len([random.random()])
    if do == "print":
        print("x" * input["n"])
        return calls
    if do == "regexp":
        return len(re.sub("(a)(b)", r"\\2\\1", "abc" * input["n"]))
    return [calls, len(seen), secret, len(input.get("text", ""))]
"""
ACTIONS = ["", "", "throw", "reject", "recurse", "memory", "class", "random", "print", "regexp"]
FUNCTIONS = 3


class Auditor:
    """Compares kept instances with their images when a call begins."""

    def __init__(self) -> None:
        self.expected: dict[FunctionImage, bytes] = {}
        self.calls: Counter[Instance] = Counter()
        self.different: list[str] = []

    def expect(self, image: FunctionImage, binary: bytes) -> None:
        memory = bytearray(image.pages * WASM_PAGE_BYTES)
        memory[: image.engine.memory_size] = ffi.buffer(image.engine.memory, image.engine.memory_size)[:]
        for segment in parse(binary).segments:
            memory[segment.offset : segment.offset + len(segment.data)] = segment.data
        self.expected[image] = bytes(memory)

    def audited(self, convention: CallingConvention) -> CallingConvention:
        def invoke(instance: Instance, input_json: bytes, output_limit: int) -> bytes:
            self.calls[instance] += 1
            if isinstance(instance, RestorableInstance):
                self._compare(instance)
            return convention.invoke(instance, input_json, output_limit)

        return msgspec.structs.replace(convention, invoke=invoke)

    def _compare(self, instance: RestorableInstance) -> None:
        image = instance.image
        memory = ffi.buffer(instance.memory_address, instance.memory_size)
        if memory[:] != self.expected[image]:
            self.different.append(f"memory before call {self.calls[instance]} of its instance")
        values = [image.global_values[number].of.u64 for number in range(len(image.engine.global_kinds))]
        if [value for _, value in instance.globals()] != values:
            self.different.append(f"globals before call {self.calls[instance]} of its instance")


@pytest.fixture(params=["javascript", "python"])
async def opened(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[str, Auditor, LocalRuntime]]:
    auditor = Auditor()
    monkeypatch.setattr(
        abi, "ENGINE_CONVENTIONS", [auditor.audited(convention) for convention in abi.ENGINE_CONVENTIONS]
    )
    monkeypatch.setattr(kept_instances, "PROMOTION_CALLS", 1)
    async with open_local_runtime(settings.load({"time_limit": "60s", "memory_limit": "64MiB"})) as local:
        yield request.param, auditor, local


async def test_kept_instances_of_engines_equal_their_images_before_every_call(
    opened: tuple[str, Auditor, LocalRuntime],
) -> None:
    language, auditor, local = opened
    source = {"javascript": JAVASCRIPT, "python": PYTHON}[language]
    binaries = []
    for number in range(FUNCTIONS):
        compiled = await local.compilers[language].compile(source % number)
        assert isinstance(compiled, Compiled), compiled
        assert await local.runtime.check(compiled.binary) is None
        image = local.runtime._modules.get_cached(hashlib.sha256(compiled.binary).digest())
        assert isinstance(image, FunctionImage)
        auditor.expect(image, compiled.binary)
        binaries.append(compiled.binary)

    chooser = random.Random(15)

    async def call(number: int, action: str) -> Outcome:
        size = chooser.choice((0, 10, 3000, 90_000))  # the large ones run in threads
        document = {"n": chooser.randrange(1, 3000), "do": action, "text": "é" * size}

        async def load() -> bytes:
            return binaries[number]

        digest = hashlib.sha256(binaries[number]).digest()
        limits = local.runtime.limits.narrowed(2.0 if action == "loop" else None, None)
        outcome = await local.runtime.run(digest, load, json.dumps(document).encode(), limits)
        if not action:
            expected = {
                "javascript": [1, 1, 1, f"function {number}", size],
                "python": [1, 1, f"function {number}", size],
            }
            assert outcome.output
            assert json.loads(outcome.output) == expected[language]
        return outcome

    for round_number in range(70):
        calls = [
            call(chooser.randrange(FUNCTIONS), chooser.choice(ACTIONS)) for _ in range(chooser.choice((1, 2, 3, 12)))
        ]
        if round_number % 40 == 20:
            calls.append(call(chooser.randrange(FUNCTIONS), "loop"))
        await asyncio.gather(*calls)
        assert auditor.different == []
    kept = [count for instance, count in auditor.calls.items() if isinstance(instance, RestorableInstance)]
    assert sum(auditor.calls.values()) > 250
    # Calls that had a restored instance. It is no share of all: on a busy machine, ticks interrupt inline attempts, and
    # each ends its instance.
    assert sum(kept) - len(kept) > 30

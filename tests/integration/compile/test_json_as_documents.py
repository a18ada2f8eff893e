"""Random documents of random classes: what a function parses and writes is what Python's json says that it is."""

import hashlib
import json
import os
import random

import pytest

from faas.compile.languages.assemblyscript import AssemblyScriptCompiler
from faas.compile.outcome import Compiled
from faas.runtime import Runtime
from tests.helpers.json_as_documents import HEAD, any_value, expected, first_difference, make_classes, spell

pytestmark = pytest.mark.slow

_DOCUMENTS_PER_CLASS = 40
# The same documents each time, so that a change is judged by what it does. Long runs with others:
# JSON_AS_DOCUMENTS=10000 JSON_AS_SEED=$RANDOM pytest -s -k random_documents. With the seeds 1 and 117211135, json-as
# leaves zeros in the middle of its output, in V8 too: a defect of the package.
_DOCUMENTS = int(os.environ.get("JSON_AS_DOCUMENTS", "320"))
_HANDLE = "export function handle(input: string): string { return JSON.stringify(JSON.parse<In>(input)); }\n"


async def test_json_as_random_documents_are_read_and_written_as_they_are(
    compiler: AssemblyScriptCompiler, runtime: Runtime
) -> None:
    seed = int(os.environ.get("JSON_AS_SEED", "2"))
    print(f"seed {seed}: JSON_AS_SEED={seed} JSON_AS_DOCUMENTS={_DOCUMENTS} repeats these documents")
    chance = random.Random(seed)
    for number in range(-(-_DOCUMENTS // _DOCUMENTS_PER_CLASS)):
        classes = make_classes(chance)
        source = HEAD + "".join(made.source() for made in classes) + _HANDLE
        compiled = await compiler.compile(source)
        assert isinstance(compiled, Compiled), f"seed {seed}, class {number}: {compiled.diagnostics}\n{source}"
        binary, digest = compiled.binary, hashlib.sha256(compiled.binary).digest()

        async def load(binary: bytes = binary) -> bytes:
            return binary

        by_name = {made.name: made for made in classes}
        for _ in range(_DOCUMENTS_PER_CLASS):
            value = by_name["In"].value(chance, 0)
            unknown = {f"unknown{index}": any_value(chance) for index in range(chance.choice([0, 0, 1, 3]))}
            document = spell(chance, {**value, **unknown})
            outcome = await runtime.run(digest, load, document.encode())
            wanted = expected("In", by_name, value)
            assert outcome.output is not None, f"seed {seed}: {outcome.error}\n{document}\n{source}"
            different = first_difference(json.loads(outcome.output), wanted)
            assert different is None, f"seed {seed}: {different}\n{document}\n{source}"


@pytest.mark.parametrize("in_order", [True, False])
async def test_json_as_large_documents_survive_the_garbage_collector(
    compiler: AssemblyScriptCompiler, runtime: Runtime, in_order: bool
) -> None:
    """The collector runs many times while such a document is read."""
    source = f"""{HEAD}
@json class Item {{
  id: i32 = 0; name: string = "?"; tags: string[] = []; names: Map<string, string> = new Map<string, string>();
  rows: string[][] = []; hexes: Hex[] = []; dates: Date[] = []; any: JSON.Value = JSON.Value.from<i32>(0);
  raws: JSON.Raw[] = []; next: Item | null = null; parts: Generic<string>[] = []; fixed: StaticArray<string> = [];
}}
@json class In {{ items: Item[] = []; last: string = ""; }}
{_HANDLE}"""
    compiled = await compiler.compile(source)
    assert isinstance(compiled, Compiled), compiled

    def item(number: int) -> dict[str, object]:
        text = f"text {number} " * (number % 7)
        members: dict[str, object] = {
            "id": number, "name": text, "tags": [text, str(number)], "names": {str(number): text},
            "rows": [[text], [], [str(number), text]], "hexes": [f"{number:x}"], "dates": ["2026-01-02T03:04:05.000Z"],
            "any": {"a": [text, number]}, "raws": [text, number, {"b": text}],
            "next": item(number // 2) if number % 3 == 0 and number else None,
            "parts": [{"v": text}], "fixed": [text, "x"],
        }  # fmt: skip
        return members if in_order else dict(reversed(members.items()))

    document = {"items": [item(number) for number in range(1000)], "last": "z"}

    async def load() -> bytes:
        return compiled.binary

    outcome = await runtime.run(
        hashlib.sha256(compiled.binary).digest(), load, json.dumps(document, separators=(",", ":")).encode()
    )
    assert outcome.output is not None, outcome.error
    assert first_difference(json.loads(outcome.output), document) is None


_ESCAPED_KEYS = """
@json class Text {
  constructor(public v: string) {}
  @serializer("string") write(self: Text): string { return `"${self.v}"`; }
  @deserializer("string") read(data: string): Text { return new Text(data.slice(1, -1)); }
}
@json class In { a: Map<string, Text>[] = []; }
"""


@pytest.mark.xfail(strict=True, reason="json-as writes beyond its buffer for maps with many escaped keys")
async def test_json_as_writes_maps_with_many_escaped_keys(compiler: AssemblyScriptCompiler, runtime: Runtime) -> None:
    """The smallest document found of the kind that the seeds above meet."""
    compiled = await compiler.compile(HEAD + _ESCAPED_KEYS + _HANDLE)
    assert isinstance(compiled, Compiled)
    binary = compiled.binary

    async def load() -> bytes:
        return binary

    document = json.dumps({"a": [{f"key{number}\\\\\\\\": "abcd" for number in range(32)}]}, separators=(",", ":"))
    outcome = await runtime.run(hashlib.sha256(binary).digest(), load, document.encode())
    assert outcome.error is None
    assert json.loads(outcome.output or b"") == json.loads(document)

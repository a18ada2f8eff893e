"""The contracts of JavaScript functions, and JSON in and out."""

from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from faas.runtime import images
from tests.helpers.guests import little_work
from tests.helpers.local_functions import LocalFunctions

HANDLE = "export function handle(input) { return input; }"


async def contract_of(functions: LocalFunctions, source: str) -> str:
    binary = await functions.compile(source)
    assert isinstance(binary, bytes), binary
    return images.parse(binary).contract


@pytest.mark.parametrize(
    "source",
    [
        "export function handle(input) { return input.a + 1; }",
        "export async function handle(input) { await null; return input.a + 1; }",
        "export const handle = (input) => Promise.resolve(input.a + 1);",
        "export default function (input) { return input.a + 1; }",
        "export default async ({ a }) => a + 1;",
        "function handle(input) { return input.a + 1; }\nexport { handle as default, handle };",
        "exports.handle = (input) => input.a + 1;",
        "module.exports = async (input) => input.a + 1;",
        "module.exports = { handle({ a }) { return a + 1; } };",
        "export default { handle({ a }) { return a + 1; } };",
        "#!/usr/bin/env node\nmodule.exports.handle = function ({ a }) { return a + 1; };",
        "const one = await Promise.resolve(1);\nexport const handle = ({ a }) => a + one;",
    ],
)
async def test_contract_json_forms(functions: LocalFunctions, source: str) -> None:
    assert await functions.value(source, b'{"a": 41}') == 42
    assert await contract_of(functions, source) == "json"


@pytest.mark.parametrize(
    "source",
    [
        "export const handler = async (event, context) => [event.a, typeof context.awsRequestId];",
        "exports.handler = (event, context, callback) => callback(null, [event.a, typeof context.awsRequestId]);",
        "exports.handler = async function (event, context) { return [event.a, typeof context.awsRequestId]; };",
    ],
)
async def test_contract_lambda_forms(functions: LocalFunctions, source: str) -> None:
    assert await functions.value(source, b'{"a": 1}') == [1, "string"]
    assert await contract_of(functions, source) == "lambda"


async def test_lambda_request_id_is_the_id_of_the_execution(functions: LocalFunctions) -> None:
    """In the first calls, which have fresh instances, and in later ones, whose instance is restored."""
    binary = await functions.compile("export const handler = async (event, context) => context.awsRequestId;")
    assert isinstance(binary, bytes), binary
    ids = [uuid7() for _ in range(8)]
    outcomes = [await functions.run(binary, execution_id=execution_id) for execution_id in ids]
    assert [outcome.output for outcome in outcomes] == [f'"{execution_id}"'.encode() for execution_id in ids]


async def test_lambda_context_has_the_remaining_time_and_new_ids(functions: LocalFunctions) -> None:
    source = """export const handler = (_, context) => {
      const remaining = context.getRemainingTimeInMillis();
      return { remaining: 59_000 < remaining && remaining <= 60_000, id: context.awsRequestId };
    };"""
    first, second = [await functions.value(source) for _ in range(2)]
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["remaining"] is second["remaining"] is True
    assert UUID(str(first["id"])) != UUID(str(second["id"]))


@pytest.mark.parametrize(
    ("value", "output"),
    [
        ("undefined", b"null"),
        ("NaN", b"null"),
        ("-Infinity", b"null"),
        ("() => 1", b"null"),
        ("[undefined, () => 1, Symbol()]", b"[null,null,null]"),
        ("({ a: undefined, b: 1 })", b'{"b":1}'),
        ("-0", b"0"),
        ("1e21", b"1e+21"),
        ("0.1 + 0.2", b"0.30000000000000004"),
        ("new Date(0)", b'"1970-01-01T00:00:00.000Z"'),
        ("({ toJSON() { return [1]; } })", b"[1]"),
        (r"'\ud800x\ude00'", rb'"\ud800x\ude00"'),
        (r"'\u{1F600}'", '"\U0001f600"'.encode()),
        (r"'a\0b\u2028'", b'"a\\u0000b\xe2\x80\xa8"'),
        ("({ 2: 0, b: 0, 1: 0, a: 0 })", b'{"1":0,"2":0,"b":0,"a":0}'),
        ("new Map([[1, 2]])", b"{}"),
        ("Object.assign(() => 1, { a: 1 })", b"null"),
    ],
)
async def test_outputs_are_those_of_json_stringify(functions: LocalFunctions, value: str, output: bytes) -> None:
    outcome = await functions.call(f"export const handle = () => {value};")
    assert (outcome.output, outcome.error) == (output, None)


@pytest.mark.parametrize(
    "document",
    [
        b'{"__proto__": {"a": 1}, "constructor": 1}',
        b'{"a": 1.0, "b": 1e400, "c": -0.0, "d": 12345678901234567890}',
        '{"é": "\\u0000\\ud83d\\ude00\u2028 \U0001f600"}'.encode(),
        b'{"a": ' + b"[" * 400 + b"]" * 400 + b"}",
        b'{"b": 1, "a": 2, "b": 3}',
    ],
)
async def test_inputs_are_those_of_json_parse(functions: LocalFunctions, document: bytes) -> None:
    source = f"export const handle = () => JSON.parse(String.raw`{document.decode()}`);"
    assert await functions.call(HANDLE, document) == await functions.call(source)


async def test_documents_of_six_megabytes(functions: LocalFunctions) -> None:
    document = b'{"text": "' + b"\xc3\xa9x" * ((2 << 20) - 8) + b'"}'
    assert len(document) > 6_000_000
    binary = await functions.compile(HANDLE)
    assert isinstance(binary, bytes)
    with little_work(functions.local.runtime.limits, 2):
        outcome = await functions.run(binary, document)
    assert outcome.error is None
    assert outcome.output == document.replace(b": ", b":")


async def test_outputs_over_the_limit_fail(functions: LocalFunctions) -> None:
    outcome = await functions.call("export const handle = () => 'x'.repeat(7 << 20);")
    assert outcome.error == "output limit of 6 MiB exceeded: the result has 7340034 bytes"


async def test_calls_begin_with_the_state_at_the_end_of_the_top_level(functions: LocalFunctions) -> None:
    source = "let calls = 10;\nglobalThis.seen = [];\nexport const handle = () => { seen.push(++calls); return seen; };"
    assert [await functions.value(source) for _ in range(5)] == [[11]] * 5

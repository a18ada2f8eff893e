"""Tests of the validation of JSON texts: what is accepted, what is rejected, and the reasons."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas import json_documents

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values, st.booleans())
def test_check_accepts_every_json_document(value: object, ascii_only: bool) -> None:
    try:
        document = json.dumps(value, ensure_ascii=ascii_only).encode()
    except UnicodeEncodeError:
        return
    json_documents.check(document)


@given(st.binary(max_size=200))
def test_check_raises_only_not_json(data: bytes) -> None:
    try:
        json_documents.check(data)
    except json_documents.NotJSON:
        return
    json.loads(data)


@pytest.mark.parametrize(
    "document",
    [
        b'{"n": 1.0e400}',
        b'{"z": "\\u0000"}',
        b"123456789012345678901234567890",
        b'"\\ud83d\\ude00"',
        b' {"a":1,"a":2} ',
    ],
)
def test_check_accepts_what_decoding_would_change(document: bytes) -> None:
    json_documents.check(document)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'"\xff"', "invalid UTF-8 at byte 1"),
        (b'"\\ud800"', r"unpaired surrogate escape \ud800"),
        (b'"\\\\\\udfff x"', r"unpaired surrogate escape \udfff"),
        (b"", "ends too early"),
        (b"[1,]", "trailing comma"),
        (b"{}x", "trailing characters"),
        (b"NaN", "malformed"),
    ],
)
def test_check_names_the_reason(document: bytes, reason: str) -> None:
    with pytest.raises(json_documents.NotJSON) as caught:
        json_documents.check(document)
    assert reason in str(caught.value)


def test_check_depth_ignores_brackets_in_strings() -> None:
    limit = json_documents.DEPTH_LIMIT
    json_documents.check(b"[" * limit + b"]" * limit)
    json_documents.check(json.dumps("[" * 5000 + '\\" {').encode())
    json_documents.check(b"[" + b",".join([b"[]"] * 5000) + b"]")
    for too_deep in (b"[" * (limit + 1) + b"]" * (limit + 1), b'{"a":' * 100_000):
        with pytest.raises(json_documents.NotJSON, match="nested deeper than 500 levels"):
            json_documents.check(too_deep)

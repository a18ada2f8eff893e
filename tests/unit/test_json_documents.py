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


@pytest.mark.parametrize(
    ("document", "reason", "wrong"),
    [
        ('{"é": NaN}', "invalid character in NaN", "NaN"),
        ('{"a": -Infinity}', "invalid character in -Infinity", "-Infinity"),
        ('{"a":nul}', "invalid character in nul", "nul"),
        ('{"a":"b\nc"}', "invalid character U+000A", "\nc"),
        ('{"a": “b”}', "invalid character “", "“b”"),
        ("{'a':1}", "expected '\"'; strings are in double quotes", "'a'"),
        ('{"a":1 /* one */}', "expected ',' or '}'; JSON has no comments", "/*"),
        ('{"a":1,}', "trailing comma in object", "}"),
        ('{"a":1}  {}', "trailing characters", "{}"),
        ('{"a":"\\u12"}', "invalid character in unicode escape", '"}'),
        ('{"a":01}', "invalid number in 01", "01"),
        ('\ufeff{"a":1}', "invalid character U+FEFF, a byte order mark", "\ufeff"),
        ('{"a":"b', "it ends too early", ""),
    ],
)
def test_check_error_place_is_the_wrong_byte(document: str, reason: str, wrong: str) -> None:
    with pytest.raises(json_documents.NotJSON) as caught:
        json_documents.check(document.encode())
    assert caught.value.reason == f"JSON is malformed: {reason}"
    assert document.encode()[caught.value.offset :].startswith(wrong.encode())
    assert caught.value.offset == document.encode().rindex(wrong.encode())
    assert not wrong or str(caught.value).endswith(f" (byte {caught.value.offset})")


def test_check_error_place_of_an_unpaired_surrogate_escape() -> None:
    for document in (rb'{"a":"\\\ud83d\ude00","b":"\ud83d x"}', rb'["\\ud83d", "\udc00"]'):
        with pytest.raises(json_documents.NotJSON, match="unpaired surrogate escape") as caught:
            json_documents.check(document)
        assert caught.value.offset == document.rindex(rb"\ud")
    with pytest.raises(json_documents.NotJSON) as caught:
        json_documents.check(rb'{"a": x, "b":"\ud800"}')  # the first error counts
    assert (caught.value.reason, caught.value.offset) == ("JSON is malformed: invalid character in x", 6)


def test_check_depth_error_place_is_the_first_bracket_that_is_too_deep() -> None:
    deep = "[" * (json_documents.DEPTH_LIMIT + 1)
    chunk = 1 << 16
    for before, levels in (
        ("", 0),
        ("  ", 0),
        ('["[[", "', 1),
        ("[" + "[]," * 30_000, 1),
        ('["' + "[" * chunk + r"\"" + '",', 1),
        ('["' + "[" * (chunk - 3) + r"\"" + '",', 1),
        ('["' + "[" * chunk + r"\\" + '",', 1),
    ):
        document = before + ('",' if before.endswith('"') else "") + deep
        with pytest.raises(json_documents.NotJSON, match="nested deeper than 500 levels") as caught:
            json_documents.check_depth(document.encode())
        assert caught.value.offset == len(document) - 1 - levels

"""Escapes of unpaired surrogates, which outputs of JavaScript may have."""

import pytest

from faas import json_documents

DOCUMENT = rb'{"a":"\ud800x\\ud800","b":"\\\uDFFF","c":"\ud83d\ude00"}'


def test_check_accepts_lone_surrogates_where_they_are_allowed() -> None:
    json_documents.check(DOCUMENT, lone_surrogates=True)


def test_check_refuses_lone_surrogates_otherwise() -> None:
    with pytest.raises(json_documents.NotJSON):
        json_documents.check(DOCUMENT)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (rb'{"a":"\ud800x"', "it ends too early"),
        (rb'["\ud800",]', "trailing comma in array (byte 10)"),
        (rb'["\ud8"]', "invalid character in unicode escape (byte 6)"),
        (b'["\\ud800", ' + b"[" * 600 + b"]" * 601, "nested deeper"),
    ],
)
def test_check_with_lone_surrogates_still_refuses_other_errors(document: bytes, reason: str) -> None:
    with pytest.raises(json_documents.NotJSON) as refused:
        json_documents.check(document, lone_surrogates=True)
    assert reason in str(refused.value)

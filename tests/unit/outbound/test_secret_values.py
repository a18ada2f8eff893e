"""Secrets of hosts: put into headers in one pass, and found again in what servers answer."""

import json

import pytest

from faas.outbound import HostSecret
from faas.outbound.model import MAX_BODY_BYTES, RequestFailed
from faas.outbound.secret_values import SecretValues
from faas.outbound_patterns import Origin

ORIGIN = Origin("https", "api.example.com", 443)


def secrets(**values: str) -> SecretValues:
    return SecretValues([HostSecret(f"<{name}>", value, frozenset({ORIGIN})) for name, value in values.items()])


def test_secret_values_are_filled_in_once() -> None:
    values = secrets(a="<b>", b="two")
    assert values.fill_in(ORIGIN, ["<a><b>", "x"]) == (["<b>two", "x"], True)
    assert values.fill_in(ORIGIN, ["x"]) == (["x"], False)
    assert values.fill_in(Origin("https", "x.example", 443), ["<a>"]) == (["<a>"], False)


def test_secret_values_are_sent_as_utf8() -> None:
    assert secrets(a="ключ").fill_in(ORIGIN, ["<a>"])[0] == ["ключ".encode().decode("latin-1")]


@pytest.mark.parametrize("value", ["s3cret", 'quote"back\\slash', "a&b=c d/é+", "<html>'", "ключ", "line\nbreak"])
def test_secret_values_are_hidden_in_the_usual_encodings(value: str) -> None:
    from html import escape
    from urllib.parse import quote, quote_plus

    forms = [
        value,
        json.dumps(value),
        json.dumps(value, ensure_ascii=False),
        quote(value),
        quote_plus(value),
        escape(value),
    ]
    for form in forms:
        hidden = secrets(key=value).hide(f"before {form} after".encode())
        assert b"<key>" in hidden
        assert value.encode() not in hidden


def test_secret_values_hide_the_longest_first() -> None:
    assert secrets(a="abc", b="abcdef").hide(b"abcdef abc") == b"<b> <a>"


def test_secret_values_without_value_or_placeholder_change_nothing() -> None:
    values = SecretValues([HostSecret("", "x", frozenset({ORIGIN})), HostSecret("<a>", "", frozenset({ORIGIN}))])
    assert values.fill_in(ORIGIN, ["<a>x"]) == (["<a>x"], False)
    assert values.hide(b"<a>x") == b"<a>x"


def test_secret_values_do_not_grow_answers_past_the_limit() -> None:
    with pytest.raises(RequestFailed, match="too large") as refusal:
        secrets(long_name_of_a_placeholder="x").hide(b"x" * (MAX_BODY_BYTES // 2))
    assert "'x'" not in str(refusal.value)


def test_host_secret_is_not_in_its_representation() -> None:
    assert "s3cret" not in repr(HostSecret("<a>", "s3cret", frozenset({ORIGIN})))
    assert "s3cret" not in f"{[HostSecret('<a>', 's3cret', frozenset())]}"

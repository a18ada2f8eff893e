"""The text of tokens: only one form, only in one header."""

import hashlib

import pytest

from faas.access import token_text
from faas.access.token_text import parse_authorization


def test_generated_token_is_parsed_from_its_header() -> None:
    generated = token_text.generate()
    assert parse_authorization(f"Bearer {generated}".encode()) == generated
    assert parse_authorization(f"bearer  {generated}".encode()) == generated
    assert generated.digest == hashlib.sha256(generated.secret).digest()
    assert token_text.generate() != generated


TEXT = f"faas_{'a' * 12}_{'b' * 32}"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        TEXT,
        f"Basic {TEXT}",
        f"Bearer:{TEXT}",
        f"Bearer\t{TEXT}",
        f"Bearer {TEXT} ",
        f"Bearer {TEXT}, Bearer {TEXT}",
        f"Bearer {TEXT} x",
        f"Bearer {TEXT}x",
        f"Bearer {TEXT[:-1]}",
        f"Bearer {TEXT.upper()}",
        f"Bearer FAAS_{TEXT[5:]}",
        f"Bearer {TEXT.replace('b', '1')}",
        f"Bearer {TEXT.replace('_b', '-b')}",
        f"Bearer {TEXT}\x00",
        f"Bearer {TEXT}\n",
        f'Bearer "{TEXT}"',
        f"Bearer  {TEXT[:20]} {TEXT[20:]}",
    ],
)
def test_parse_authorization_takes_no_other_form(value: str) -> None:
    assert parse_authorization(value.encode()) is None


def test_parse_authorization_takes_no_other_alphabet() -> None:
    fullwidth = TEXT.replace("b", "\uff42")
    assert parse_authorization(f"Bearer {fullwidth}".encode()) is None
    assert parse_authorization(b"Bearer " + TEXT.encode().replace(b"b", b"\xff")) is None


@pytest.mark.parametrize(
    "value",
    [
        TEXT,
        f"Bearer {TEXT}",
        f"Bearer {TEXT} ",
        f"Bearer\t{TEXT}",
        f"Token {TEXT}",
        f"Bearer {' ' * 300}{TEXT}",
        f"Basic dTpw, Bearer {TEXT}",
        f"Bearer {TEXT.upper()}",
    ],
)
def test_is_in_finds_a_token_in_forms_that_are_not_admitted(value: str) -> None:
    assert token_text.is_in(value.encode())


@pytest.mark.parametrize("value", ["", "Basic dTpw", "Bearer of-the-function", f"Bearer {TEXT[:-1]}"])
def test_is_in_finds_no_token_where_there_is_none(value: str) -> None:
    assert not token_text.is_in(value.encode())

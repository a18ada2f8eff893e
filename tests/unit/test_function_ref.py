"""References to functions: a UUID is an id, a function name is a name, and anything else is refused."""

from uuid import UUID

import pytest

from faas.errors import InvalidRequest
from faas.function_ref import FunctionRef, is_function_name, parse_uuid

ID = UUID("0198c0de-0000-7000-8000-00000000abcd")


def test_function_ref_parse_takes_a_canonical_uuid_as_an_id() -> None:
    assert FunctionRef.parse(str(ID)) == FunctionRef.by_id(ID) == FunctionRef(ID, None)
    assert FunctionRef.parse(str(ID).upper()) == FunctionRef.by_id(ID)


@pytest.mark.parametrize("name", ["a", "add", "A.b_c-9", "a" * 64])
def test_function_ref_parse_takes_a_function_name_as_a_name(name: str) -> None:
    assert FunctionRef.parse(name) == FunctionRef.by_name(name) == FunctionRef(None, name)


@pytest.mark.parametrize("text", ["", "9lives", "a b", "a" * 65, "é", "a/b", ID.hex, f"{{{ID}}}", f"urn:uuid:{ID}"])
def test_function_ref_parse_refuses_anything_else(text: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        FunctionRef.parse(text)
    assert raised.value.field == "id"
    assert repr(text) in str(raised.value)


def test_function_ref_text_is_the_id_or_the_name() -> None:
    assert str(FunctionRef.by_id(ID)) == str(ID)
    assert str(FunctionRef.by_name("add")) == "add"


def test_function_name_is_never_a_uuid() -> None:
    looks_like_a_name = "abcdef01-2345-4789-8abc-def012345678"
    assert parse_uuid(looks_like_a_name) is not None
    assert not is_function_name(looks_like_a_name)

"""Records of a stream in every shape there may be."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.compute_module.errors import InvalidTable
from faas.compute_module.foundry.records import (
    ENVELOPES,
    WRAPPERS,
    find_records,
    read_records,
    read_records_file,
    unwrap,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ENVELOPES, *WRAPPERS, "email", "status", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def emails(body: object) -> list[str]:
    return [row.email for row in read_records(json.dumps(body).encode())]


A, B = {"email": "a"}, {"email": "b"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([A, B], ["a", "b"]),
        ([], []),
        ([A, 3, None, "x", [B]], ["a"]),
        ({"records": [A]}, ["a"]),
        ({"data": {"values": [A]}}, ["a"]),
        ({"values": [B], "records": [A]}, ["a"]),
        ({"records": None, "values": [A]}, ["a"]),
        ({"records": {"nothing": 1}, "data": [A]}, ["a"]),
        ({"result": {"rows": [A]}}, ["a"]),
        ({"rows": [A], "tags": ["x"]}, ["a"]),
        ({"tags": ["x"], "rows": [3, A]}, ["a"]),
        ({"records": []}, []),
        ([{"record": A}, {"value": B}], ["a", "b"]),
        ([{"data": A, "record": B}], ["b"]),
        ([{"record": "text", "value": A}], ["a"]),
        ([{"record": {"value": A}}], [""]),
        ([{"email": 5, "status": None}], [""]),
    ],
)
def test_records_are_found_and_unwrapped(body: object, expected: list[str]) -> None:
    assert emails(body) == expected


def test_space_before_the_records_is_no_matter() -> None:
    assert [
        row.email for row in read_records(b" \r\n\t" * 100 + b'{"records":' + b" " * 100 + b'[{"email":"a"}]}')
    ] == ["a"]


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"3", b'"x"', b"{}", b'{"tags": ["x"]}', b'{"a": {"b": [{"email": "x"}]}}', b"<html>", b"[1,"],
)
def test_anything_else_fails_in_one_line(body: bytes) -> None:
    with pytest.raises(InvalidTable, match=r"^stream records: ") as caught:
        list(read_records(body))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [b'[{"email": "\xff"}]', b'[{"email": "\\ud800"}]', b"[" * 200_000, b'{"data":' * 5000, b'{"data":[' * 5000 + b"]"],
)
def test_hostile_bytes_fail_in_one_line(body: bytes) -> None:
    with pytest.raises(InvalidTable) as caught:
        list(read_records(body))
    assert "\n" not in str(caught.value)


def find_plainly(body: Any, depth: int = 0) -> list[Any] | None:
    """The contract's rule on decoded values, word for word."""
    if isinstance(body, list):
        return body
    if not isinstance(body, dict):
        return None
    for name in ENVELOPES:
        if (found := find_plainly(body.get(name), depth + 1)) is not None:
            return found
    return next(
        (value for value in body.values() if isinstance(value, list) and any(isinstance(i, dict) for i in value)), None
    )


@given(JSON)
def test_finding_follows_the_rule_for_any_body(body: Any) -> None:
    expected = find_plainly(body)
    encoded = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if expected is None:
        with pytest.raises(InvalidTable):
            find_records(encoded)
    else:
        assert [json.loads(bytes(item)) for item in find_records(encoded)] == expected


@given(st.dictionaries(st.sampled_from([*WRAPPERS, "email"]), JSON, max_size=4))
def test_unwrapping_goes_one_level_deep(item: dict[str, Any]) -> None:
    objects = [item[name] for name in WRAPPERS if isinstance(item.get(name), dict)]
    assert unwrap(item) == (objects[0] if objects else item)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    message = ""
    try:
        list(read_records(body))
    except InvalidTable as error:
        message = str(error)
    assert "\n" not in message


def test_a_file_is_read_without_loading_it_whole(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_bytes(json.dumps([{"value": {"email": f"{n}@x.io"}} for n in range(1000)]).encode())
    assert [row.email for row in read_records_file(path)] == [f"{n}@x.io" for n in range(1000)]
    path.write_bytes(b"")
    with pytest.raises(InvalidTable, match="empty"):
        list(read_records_file(path))

"""Records of a stream in every envelope."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.compute_module.errors import InvalidTable
from faas.compute_module.foundry.stream_records import (
    ENVELOPE_NAMES,
    WRAPPER_NAMES,
    find_records,
    read_rows_of_file,
    read_rows_of_records,
    unwrap,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*ENVELOPE_NAMES, *WRAPPER_NAMES, "email", "status", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def emails(body: object) -> list[str]:
    return [row.email for row in read_rows_of_records(json.dumps(body).encode())]


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
        ({"tags": [{"k": "x"}], "rows": [A]}, ["a"]),
        ({"rows": [A], "tags": [{"k": "x"}]}, ["a"]),
        ({"tags": [{"k": "x"}], "rows": [{"value": {" Email ": "a"}}]}, ["a"]),
        ({"records": []}, []),
        ([{"record": A}, {"value": B}], ["a", "b"]),
        ([{"data": A, "record": B}], ["b"]),
        ([{"record": "text", "value": A}], ["a"]),
        ([{"record": {"value": A}}], [""]),
        ([{"email": 5, "status": None}], [""]),
        ([{"name": "x"}, A], ["", "a"]),
        ([{"EMAIL": "a"}, {" email ": "b"}, {"Email": None, "email": "c"}], ["a", "b", "c"]),
        ([{"Email": "x", "email": "a"}, {"email": "b", "Email": "x"}], ["a", "b"]),
        ([{"email": 5, "Email": "a"}, {"Email": "b", "email": None}], ["a", "b"]),
    ],
)
def test_stream_records_are_found_and_unwrapped(body: object, expected: list[str]) -> None:
    assert emails(body) == expected


def test_stream_records_white_space_is_ignored() -> None:
    assert [
        row.email for row in read_rows_of_records(b" \r\n\t" * 100 + b'{"records":' + b" " * 100 + b'[{"email":"a"}]}')
    ] == ["a"]


def test_stream_records_field_names_are_compared_in_any_case() -> None:
    (row,) = read_rows_of_records(b'[{"EMAIL": "a", " Status": "OK", "Model": "m"}]')
    assert (row.email, row.is_ok, row.model) == ("a", True, "m")


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"3", b'"x"', b"{}", b'{"tags": ["x"]}', b'{"a": {"b": [{"email": "x"}]}}', b"<html>", b"[1,"],
)
def test_stream_records_other_json_is_refused_in_one_line(body: bytes) -> None:
    with pytest.raises(InvalidTable, match=r"^stream records: ") as caught:
        list(read_rows_of_records(body))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [b'[{"email": "\xff"}]', b'[{"email": "\\ud800"}]', b"[" * 200_000, b'{"data":' * 5000, b'{"data":[' * 5000 + b"]"],
)
def test_stream_records_hostile_bytes_are_refused_in_one_line(body: bytes) -> None:
    with pytest.raises(InvalidTable) as caught:
        list(read_rows_of_records(body))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", [b'{"email": "\xff"}', b'{"n": "a\xff"}'])
@pytest.mark.parametrize("before", [0, 1, 40])
def test_stream_records_refused_record_is_named_by_its_number(bad: bytes, before: int) -> None:
    body = b'{"records": [' + b'{"email": "a"},' * before + bad + b"]}"
    with pytest.raises(InvalidTable, match=f"^stream records: record {before + 1} is not JSON: "):
        list(read_rows_of_records(body))


@pytest.mark.parametrize(
    ("end", "place"),
    [
        (b'{"email": nul}', "JSON is malformed: invalid character (byte {})"),
        (b'{"email": "a"}}', "JSON is malformed: expected ',' or ']' (byte {})"),
        (b'{"email"', "Input data was truncated"),
    ],
)
@pytest.mark.parametrize("before", [0, 1000])
def test_stream_records_malformed_answer_shows_the_byte(end: bytes, place: str, before: int) -> None:
    begin = b' {"records": [' + b'{"email": "a"},' * before
    with pytest.raises(InvalidTable) as caught:
        list(read_rows_of_records(begin + end))
    byte = len(begin) + (11 if end.endswith(b"nul}") else 14)
    assert str(caught.value).startswith(f"stream records: the answer is not JSON ({place.format(byte)}): ")


def find_plainly(body: Any, depth: int = 0) -> list[Any] | None:
    """Apply the rule of the contract to decoded values."""
    if isinstance(body, list):
        return body
    if not isinstance(body, dict):
        return None
    for name in ENVELOPE_NAMES:
        if (found := find_plainly(body.get(name), depth + 1)) is not None:
            return found
    arrays = [v for v in body.values() if isinstance(v, list) and any(isinstance(i, dict) for i in v)]
    return next(iter(sorted(arrays, key=lambda array: not has_email(array))), None)


def has_email(array: list[Any]) -> bool:
    record = unwrap(next(item for item in array if isinstance(item, dict)))
    return any(isinstance(value, str) and value for name, value in record.items() if name == "email")


@given(JSON)
def test_stream_records_are_found_by_the_rule_in_any_body(body: Any) -> None:
    expected = find_plainly(body)
    encoded = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if expected is None:
        with pytest.raises(InvalidTable):
            find_records(encoded)
    else:
        assert [json.loads(bytes(item)) for item in find_records(encoded)] == expected


@given(st.dictionaries(st.sampled_from([*WRAPPER_NAMES, "email"]), JSON, max_size=4))
def test_stream_records_are_unwrapped_one_level_deep(item: dict[str, Any]) -> None:
    objects = [item[name] for name in WRAPPER_NAMES if isinstance(item.get(name), dict)]
    assert unwrap(item) == (objects[0] if objects else item)


@given(st.binary(max_size=60))
def test_stream_records_any_bytes_are_read_or_refused(body: bytes) -> None:
    message = ""
    try:
        list(read_rows_of_records(body))
    except InvalidTable as error:
        message = str(error)
    assert "\n" not in message


def test_stream_records_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_bytes(json.dumps([{"value": {"email": f"{n}@x.io"}} for n in range(1000)]).encode())
    assert [row.email for row in read_rows_of_file(path)] == [f"{n}@x.io" for n in range(1000)]
    path.write_bytes(b"")
    with pytest.raises(InvalidTable, match="empty"):
        list(read_rows_of_file(path))

"""Tests of the checks of what functions respond."""

import pytest

from faas.runtime.contracts.responses import MAX_HEADERS_BYTES, checked_response
from faas.runtime.outcome import GuestFault


def test_response_keeps_repeated_headers_and_their_order() -> None:
    found = checked_response(
        200, [("Set-Cookie", "a=1"), ("Content-Type", " text/plain "), ("set-cookie", "b=2")], b"x"
    )
    assert found.headers == (("set-cookie", "a=1"), ("content-type", "text/plain"), ("set-cookie", "b=2"))


@pytest.mark.parametrize(
    "name",
    ["Connection", "transfer-encoding", "Content-Length", "Upgrade", "Date", "Faas-Execution-Id", "X-Request-Id"],
)
def test_response_loses_headers_of_the_connection(name: str) -> None:
    assert checked_response(200, [(name, "1")], b"").headers == ()


@pytest.mark.parametrize("status", [204, 205, 304])
def test_response_of_a_status_without_a_body_has_none(status: int) -> None:
    assert checked_response(status, [], b"body").body == b""


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, -1, 10**9])
def test_response_status_outside_the_range_is_a_fault(status: int) -> None:
    with pytest.raises(GuestFault, match="accepted are 200 to 599"):
        checked_response(status, [], b"")


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\0b", "a\x7fb", "\u0100"])
def test_response_header_value_that_would_end_the_header_is_a_fault(value: str) -> None:
    with pytest.raises(GuestFault, match="the header a of the response"):
        checked_response(200, [("a", value)], b"")


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "é", "a(b)"])
def test_response_header_name_that_is_no_token_is_a_fault(name: str) -> None:
    with pytest.raises(GuestFault, match="is not a name of a header"):
        checked_response(200, [(name, "1")], b"")


def test_response_headers_are_limited_in_all() -> None:
    with pytest.raises(GuestFault, match=f"the limit is {MAX_HEADERS_BYTES}"):
        checked_response(200, [("a", "b" * 1000)] * 66, b"")

"""Tests of frames, in which requests and responses pass between the host and an engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.runtime.frames import (
    MalformedFrame,
    RequestHead,
    ResponseHead,
    decode_request,
    decode_response,
    encode,
)

HEADERS = st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=5).map(tuple)


@given(url=st.text(), headers=HEADERS, body=st.binary())
def test_frame_of_a_request_is_read_as_it_was_written(
    url: str, headers: tuple[tuple[str, str], ...], body: bytes
) -> None:
    head = RequestHead(method="PUT", url=url, headers=headers, redirect="manual")
    assert decode_request(encode(head, body)) == (head, body)


def test_frame_of_a_response_has_its_head_in_camel_case() -> None:
    head = ResponseHead(status=200, status_text="OK", headers=(("a", "b"),))
    frame = encode(head, b"\0body")
    assert frame[4:] == b'{"status":200,"statusText":"OK","headers":[["a","b"]]}\0\0body'
    assert decode_response(frame) == (head, b"\0body")


@pytest.mark.parametrize(
    "frame",
    [
        b"", b"\1\0\0", b"\5\0\0\0{}\0", b"\2\0\0\0{}", b"\2\0\0\0{}x", b"\xff\xff\xff\xff{}\0", b"\2\0\0\0[]\0",
        b"\3\0\0\0{\xff}\0",
    ],
)  # fmt: skip
def test_frame_that_is_not_one_is_refused(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        decode_request(frame)

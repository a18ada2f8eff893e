"""Answers in HTTP/1.1, in whatever pieces they come: what is read, what is refused, and when a connection is used again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.outbound.answers import MAX_ANSWER_HEADERS, MAX_HEAD_BYTES, AnswerParser, NotHttp
from faas.outbound.model import RequestFailed

OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "length": (OK + b"A: 1\r\nContent-Length: 4\r\n\r\nbody", [(b"A", b"1"), (b"Content-Length", b"4")], b"body"),
    "chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2;x=y\r\ndy\r\n0\r\nTrailer: 1\r\n\r\n",
        [(b"Transfer-Encoding", b"chunked")],
        b"body",
    ),
    "empty": (OK + b"Content-Length: 0\r\n\r\n", [(b"Content-Length", b"0")], b""),
    "interim": (
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
        + OK
        + b"Content-Length: 1\r\n\r\n1",
        [(b"Content-Length", b"1")],
        b"1",
    ),
}


def parsed(data: bytes, size: int = 1 << 20, method: str = "GET") -> AnswerParser:
    """Feed all of `data` in pieces of `size` bytes."""
    answer = AnswerParser(method)
    for start in range(0, len(data), size):
        answer.feed(data[start : start + size])
    return answer


@pytest.mark.parametrize("name", ANSWERS)
@given(size=st.integers(1, 80))
def test_answers_are_read_in_any_pieces(name: str, size: int) -> None:
    data, headers, body = ANSWERS[name]
    answer = parsed(data, size)
    assert (answer.status, answer.reason, answer.headers) == (200, b"OK", headers)
    assert b"".join(answer.parts) == body
    assert answer.complete
    assert answer.reusable


@pytest.mark.parametrize("status", [204, 304])
def test_answers_of_a_status_without_body_have_none(status: int) -> None:
    answer = parsed(b"HTTP/1.1 %d x\r\nContent-Length: 4\r\n\r\n" % status)
    assert (answer.complete, answer.parts) == (True, [])


def test_answers_to_head_have_no_body_whatever_their_length_says() -> None:
    answer = parsed(OK + b"Content-Length: 4\r\n\r\nbody", method="HEAD")
    assert (answer.complete, answer.reusable, answer.parts) == (True, False, [])


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
def test_answers_without_a_length_end_with_the_connection(version: bytes) -> None:
    answer = parsed(version + b" 200 OK\r\n\r\nbody")
    assert not answer.complete
    assert answer.feed_end()
    assert (b"".join(answer.parts), answer.reusable) == (b"body", False)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        OK,
        OK + b"Content-Length: 5\r\n\r\nbody",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_answers_that_the_connection_cuts_are_not_complete(data: bytes) -> None:
    assert not parsed(data).feed_end()


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("rest", [b"x", OK + b"Content-Length: 3\r\n\r\nabc", OK])
@pytest.mark.parametrize("connection", [b"", b"Connection: close\r\n"])
def test_answers_end_where_another_one_begins_without_a_request(connection: bytes, rest: bytes, size: int) -> None:
    answer = parsed(OK + connection + b"Content-Length: 4\r\n\r\nbody" + rest, size)
    assert (answer.status, b"".join(answer.parts), answer.complete) == (200, b"body", True)
    assert not answer.reusable


@pytest.mark.parametrize(
    "data", [OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"]
)
def test_answers_that_close_the_connection_leave_none_to_use(data: bytes) -> None:
    assert (parsed(data).complete, parsed(data).reusable) == (True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\nContent-Length: 3\r\n\r\nabc" + OK + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
        OK + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"A : 1\r\n\r\n",
        OK + b"A: 1\r\n folded\r\n\r\n",
        OK + b"A: \0\r\n\r\n",
        OK + b"A: 1\rB: 2\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_answers_that_readers_differ_about_are_refused(data: bytes, size: int) -> None:
    with pytest.raises(NotHttp) as refusal:
        parsed(data, size)
    assert str(refusal.value) not in {"", "User callback error"}


@pytest.mark.parametrize("data", [OK + b"A: " + b"x" * MAX_HEAD_BYTES, b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000])
def test_answers_with_an_endless_head_are_refused(data: bytes) -> None:
    with pytest.raises(RequestFailed, match="larger than 256 KiB"):
        parsed(data, 16 << 10)


@pytest.mark.parametrize(
    "rest", [b"0\r\nA: " + b"x" * 300_000, b"0\r\n" + b"a: 1\r\n" * 50_000, b"1;" + b"x" * 300_000]
)
def test_answers_with_endless_trailers_or_extensions_are_refused(rest: bytes) -> None:
    with pytest.raises(RequestFailed, match="larger than 256 KiB"):
        parsed(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n" + rest, 16 << 10)


def test_answers_with_too_many_headers_are_refused() -> None:
    assert parsed(OK + b"a:\r\n" * MAX_ANSWER_HEADERS + b"\r\n").head_complete
    with pytest.raises(NotHttp, match="more than 1000 headers"):
        parsed(OK + b"a:\r\n" * (MAX_ANSWER_HEADERS + 1) + b"\r\n")

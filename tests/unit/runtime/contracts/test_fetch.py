"""Tests of the contract fetch: what becomes the output of an execution."""

import pytest

from faas.runtime.contracts.fetch import output_of, request_with
from faas.runtime.http_messages import HttpResponse
from faas.runtime.outcome import GuestFault


def response(body: bytes, content_type: str = "text/plain;charset=UTF-8", status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, headers=(("content-type", content_type),), body=body)


@pytest.mark.parametrize(
    ("body", "output"),
    [
        (b'{"a": 1}', b'{"a": 1}'),
        (b" [1]\n", b"[1]"),
        (b"hello", b'"hello"'),
        (b"two\nlines \xc3\xa9 ", b'"two\\nlines \xc3\xa9 "'),
        (b"", b"null"),
    ],
)
def test_output_is_the_parsed_body_or_its_text(body: bytes, output: bytes) -> None:
    assert output_of(response(body)) == output


def test_output_of_what_says_that_it_is_json_is_checked_as_json() -> None:
    assert output_of(response(b"{oops", "application/json")) == b"{oops"  # the runtime refuses it as an output


def test_output_of_bytes_is_a_fault() -> None:
    with pytest.raises(GuestFault, match="neither JSON nor text"):
        output_of(response(b"\x89PNG\xff", "image/png"))


@pytest.mark.parametrize(
    ("status", "body", "reason"), [(404, b" no ", "answered 404: no$"), (302, b"", "answered 302$")]
)
def test_output_of_another_status_is_a_fault(status: int, body: bytes, reason: str) -> None:
    with pytest.raises(GuestFault, match=reason):
        output_of(response(body, status=status))


def test_request_of_an_execution_is_a_post_of_json() -> None:
    request = request_with(b"{}")
    assert (request.method, request.url, request.body) == ("POST", "http://localhost/", b"{}")
    assert request.header("content-type") == "application/json"

"""Retries, pauses and error messages of requests to Foundry, in virtual time."""

import re
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.compute_module.errors import FoundryRequestFailed
from faas.compute_module.foundry.environment import FoundryEnvironment
from faas.compute_module.foundry.http_client import FoundryHttpClient
from faas.compute_module.pipeline.retry_after import read_retry_after
from faas.compute_module.redaction import hash_email
from tests.helpers.compute_module import virtual_time

TOKEN = "s3cret-bearer-token"
ENVIRONMENT = FoundryEnvironment(api="http://f.test/api", stream_proxy="http://f.test/sp", token=TOKEN, aliases={})
Answer = httpx.Response | Exception


def call(*answers: Answer, method: str = "GET") -> tuple[httpx.Response | FoundryRequestFailed, list[float]]:
    """Return the result of a request that gets these answers, the last one repeatedly, and the times of its attempts."""
    tried: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tried.append(round(virtual_time.now(), 6))
        given_answer = answers[min(len(tried), len(answers)) - 1]
        if isinstance(given_answer, Exception):
            raise given_answer
        return given_answer

    async def main() -> httpx.Response | FoundryRequestFailed:
        async with FoundryHttpClient(ENVIRONMENT, httpx.MockTransport(answer)) as http:
            try:
                return await http.request("read x", method, "http://f.test/api/x")
            except FoundryRequestFailed as failure:
                return failure

    return virtual_time.run(main()), tried


def status(code: int, **headers: str) -> httpx.Response:
    return httpx.Response(code, headers=headers, json={"errorName": "Busy"})


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 599])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_http_client_makes_eight_attempts_with_growing_pauses(code: int, method: str) -> None:
    response, tried = call(status(code), method=method)
    assert isinstance(response, httpx.Response)
    assert response.status_code == code
    assert [round(later - earlier, 6) for earlier, later in pairwise(tried)] == [
        0.2, 0.4, 0.8, 1.6, 2, 2, 2,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
    ],
)
def test_http_client_retries_transport_errors(error: Exception) -> None:
    response, tried = call(error, error, httpx.Response(200))
    assert isinstance(response, httpx.Response)
    assert len(tried) == 3


@pytest.mark.parametrize("code", [200, 204, 301, 302, 400, 401, 403, 404, 409, 413])
def test_http_client_does_not_retry_other_statuses(code: int) -> None:
    assert len(call(status(code))[1]) == 1


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        ("5", 5),
        (" 0.5 ", 0.5),
        ("0", 0.2),
        ("90", 90),
        ("300", 300),
        ("soon", 0.2),
        ("", 0.2),
        ("-1", 0.2),
        ("9" * 40, 0.2),
    ],
)
@pytest.mark.parametrize("code", [429, 503])
def test_http_client_honours_retry_after_up_to_five_minutes(header: str, pause: float, code: int) -> None:
    tried = call(status(code, **{"Retry-After": header}), httpx.Response(200))[1]
    assert tried == [0, pause]


@pytest.mark.parametrize("header", ["301", "86400", "Wed, 21 Oct 2115 07:28:00 GMT"])
def test_http_client_retry_after_beyond_five_minutes_is_the_last_response(header: str) -> None:
    response, tried = call(status(503, **{"Retry-After": header}), httpx.Response(200))
    assert tried == [0]
    assert isinstance(response, httpx.Response)
    message = failing(response)
    assert re.fullmatch(
        r"Foundry: read x: 503 errorName=Busy; the server asks to wait [0-9]+ s, longer than the accepted 300 s",
        message,
    )


def test_error_response_that_is_not_retried_shows_no_wait() -> None:
    assert failing(status(403, **{"Retry-After": "3600"})) == "Foundry: read x: 403 errorName=Busy"


@pytest.mark.parametrize(
    "date", ["Wed, 21 Oct 2015 07:28:05 GMT", "Wednesday, 21-Oct-15 07:28:05 GMT", "Wed Oct 21 07:28:05 2015"]
)
def test_read_retry_after_compares_a_date_with_the_servers_clock(date: str) -> None:
    assert read_retry_after({"Retry-After": date, "Date": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 5
    assert read_retry_after({"Retry-After": date}) == 0
    assert read_retry_after({"Retry-After": date, "Date": "Wed, 21 Oct 2015 07:29:00 GMT"}) == 0


def test_read_retry_after_without_the_servers_clock_uses_the_local_one() -> None:
    date = "Wed, 21 Oct 2115 07:28:00 GMT"
    assert (read_retry_after({"Retry-After": date}) or 0) > 1e6
    assert (read_retry_after({"Retry-After": date, "Date": "today"}) or 0) > 1e6


@given(st.text(max_size=40), st.text(max_size=40))
def test_read_retry_after_any_text_is_a_number_or_none(text: str, date: str) -> None:
    seconds = read_retry_after({"Retry-After": text, "Date": date})
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (httpx.ConnectError("refused"), "Foundry: read x: cannot connect to f.test: refused"),
        (httpx.ReadTimeout(""), "Foundry: read x: no answer from f.test within 60s"),
        (httpx.RemoteProtocolError("cut"), "Foundry: read x: the connection to f.test broke: cut"),
        (
            httpx.ConnectError(f"key={TOKEN} a@x.io"),
            "Foundry: read x: cannot connect to f.test: key=[redacted] " + hash_email("a@x.io"),
        ),
        (httpx.LocalProtocolError(f"Illegal header value b'Bearer {TOKEN}'"), "Foundry: read x: the connection to"),
    ],
)
def test_http_client_transport_error_is_one_line_without_secrets(error: Exception, message: str) -> None:
    failure, _ = call(error)
    assert str(failure).startswith(message)
    assert TOKEN not in str(failure)


def test_http_client_does_not_retry_an_untrusted_certificate() -> None:
    failure, tried = call(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"))
    assert "CERTIFICATE_VERIFY_FAILED" in str(failure)
    assert len(tried) == 1


def failing(response: httpx.Response) -> str:
    async def main() -> None:
        async with FoundryHttpClient(ENVIRONMENT, httpx.MockTransport(lambda _: response)) as http:
            await http.request_json("read x", "GET", "http://f.test/api/x")

    with pytest.raises(FoundryRequestFailed) as caught:
        virtual_time.run(main())
    return str(caught.value)


def test_error_response_shows_name_code_and_instance_but_no_parameters() -> None:
    body = {
        "errorName": "DatasetNotFound",
        "errorCode": "NOT_FOUND",
        "errorInstanceId": "9c1f",
        "parameters": {"secret": "do-not-show"},
    }
    message = failing(httpx.Response(404, json=body))
    assert message == ("Foundry: read x: 404 errorName=DatasetNotFound errorCode=NOT_FOUND errorInstanceId=9c1f")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"errorCode": "CONFLICT", "parameters": {"a": "do-not-show"}}', "400 errorCode=CONFLICT"),
        ('{"errorName": null, "errorCode": "C", "parameters": {"a": "do-not-show"}}', "400 errorCode=C"),
        ('{"errorName": "X", "parameters": {"a": "do-not-show', '400 {"errorName": "X",'),
        ('[{"errorName": "X", "parameters": {"a": "do-not-show"}}]', '400 [{"errorName": "X",'),
        ('{"message": "{\\"parameters\\": {\\"a\\": \\"do-not-show\\"}}"}', '400 {"message": "{'),
    ],
)
def test_error_response_of_another_form_shows_no_parameters(body: str, message: str) -> None:
    assert failing(httpx.Response(400, text=body)) == f"Foundry: read x: {message}"


def test_error_response_redacts_names() -> None:
    message = failing(httpx.Response(400, json={"errorName": f"Bad:{TOKEN}\n\x1b[31m" + "x" * 500}))
    assert TOKEN not in message
    assert "\n" not in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (httpx.Response(200, text="<html>\n<h1>Sign in</h1>"), "the answer is not JSON: <html> <h1>Sign in</h1>"),
        (httpx.Response(200, text='{"rid": "ri.'), 'the answer is not JSON: {"rid": "ri.'),
        (httpx.Response(200, content=b""), "the answer is not JSON: (empty)"),
        (httpx.Response(200, content=b"\xff\xfe"), "the answer is not JSON: \ufffd\ufffd"),
        (httpx.Response(200, content=b"[" * 99999), "the answer is not JSON: [["),
        (httpx.Response(400, text=f"no {TOKEN} here, Bearer abc"), "400 no [redacted] here, Bearer [redacted]"),
        (httpx.Response(403), "403"),
        (
            httpx.Response(302, headers={"Location": "http://f.test/loop?token=abc"}),
            "302, a redirect to http://f.test/loop?token=[redacted], which is not followed",
        ),
        (httpx.Response(400, json={"parameters": {"x": 1}, "errorName": 3}), "400 {"),
    ],
)
def test_error_response_of_any_body_is_one_line(response: httpx.Response, message: str) -> None:
    shown = failing(response)
    assert shown.startswith(f"Foundry: read x: {message}")
    assert len(shown.encode()) < 320


@pytest.mark.parametrize("offset", range(200, 260, 7))
def test_error_response_excerpt_does_not_cut_a_secret(offset: int) -> None:
    message = failing(httpx.Response(400, text="x" * offset + " " + TOKEN + " tail"))
    assert TOKEN[:6] not in message


async def test_http_client_downloads_the_body_of_a_success_only(tmp_path: Path) -> None:
    answers = [
        httpx.Response(200, content=b"abc", headers={"Content-Type": "text/csv"}),
        httpx.Response(404, text="no"),
    ]
    async with FoundryHttpClient(ENVIRONMENT, httpx.MockTransport(lambda _: answers.pop(0))) as http:
        response = await http.request("x", "GET", "http://f.test/x", download_to=tmp_path / "t")
        assert (tmp_path / "t").read_bytes() == b"abc"
        assert response.headers["Content-Type"] == "text/csv"
        response = await http.request("x", "GET", "http://f.test/x", download_to=tmp_path / "u")
        assert response.text == "no"
        assert not (tmp_path / "u").exists()


async def test_http_client_downloads_a_truncated_body_again(tmp_path: Path) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield b"email\nhalf"
        raise httpx.RemoteProtocolError("peer closed connection")

    answers: list[Callable[[], httpx.Response]] = [
        lambda: httpx.Response(200, content=cut()),
        lambda: httpx.Response(200, content=b"email\nwhole\n"),
    ]
    async with FoundryHttpClient(ENVIRONMENT, httpx.MockTransport(lambda _: answers.pop(0)())) as http:
        await http.request("x", "GET", "http://f.test/x", download_to=tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == b"email\nwhole\n"


def test_http_client_sends_an_upload_whole_in_every_attempt(tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(b"0123456789" * 300_000)
    seen: list[tuple[int, str | None, str | None]] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        seen.append((len(await request.aread()), request.headers["Content-Length"], request.headers["Content-Type"]))
        return httpx.Response(503 if len(seen) == 1 else 200)

    async def main() -> None:
        async with FoundryHttpClient(ENVIRONMENT, httpx.MockTransport(answer)) as http:
            await http.request("x", "POST", "http://f.test/x", upload=file)

    virtual_time.run(main())
    assert seen == [(3_000_000, "3000000", "application/octet-stream")] * 2

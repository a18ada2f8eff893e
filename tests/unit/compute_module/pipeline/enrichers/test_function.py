"""The function enricher against a fake of faas's HTTP API, in virtual time."""

from collections.abc import Callable

import httpx
import msgspec
import pytest

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.pipeline.enrichers.function import FunctionEnricher
from faas.compute_module.pipeline.rate_limiter import RateLimiter
from faas.compute_module.pipeline.retry_policy import RetryPolicy
from tests.helpers.compute_module import virtual_time


class FakeServer:
    """Gives the answers in turn, and the last one to all further requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.received: list[httpx.Request] = []
        self.times: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.received.append(request)
        self.times.append(virtual_time.now())
        answer = self.answers[min(len(self.received), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def completed(output: object) -> httpx.Response:
    return httpx.Response(200, json={"id": "1", "status": "COMPLETED", "output": output, "errorMessage": None})


def problem(status: int, detail: str, **headers: str) -> httpx.Response:
    body = {"type": "about:blank", "title": "T", "status": status, "detail": detail}
    return httpx.Response(status, json=body, headers={"Content-Type": "application/problem+json", **headers})


def enrich(
    server: Callable[[httpx.Request], httpx.Response], name: str = "enrich", token: str | None = None
) -> Enrichment:
    async def main() -> Enrichment:
        enricher = FunctionEnricher("http://faas.test", name, httpx.MockTransport(server), token=token)
        try:
            return await RetryPolicy(3, 30, RateLimiter(0)).enrich(enricher, "jane@acme.example")
        finally:
            await enricher.aclose()

    return virtual_time.run(main())


def failure(*answers: httpx.Response | Exception) -> tuple[str, FakeServer]:
    server = FakeServer(*answers)
    with pytest.raises(EnrichmentFailed) as caught:
        enrich(server)
    return str(caught.value), server


def test_function_enricher_sends_the_address_and_takes_any_of_the_fields() -> None:
    server = FakeServer(
        completed({"company": "Acme", "confidence": 0.9, "title": None, "other": [1], "description": True})
    )
    assert enrich(server, "my fn/1") == Enrichment(company="Acme", confidence="0.9", description="true")
    (request,) = server.received
    assert request.method == "POST"
    assert request.url.raw_path == b"/functions/my%20fn%2F1/execute"
    assert msgspec.json.decode(request.content) == {"input": {"email": "jane@acme.example"}}
    assert request.headers["Content-Type"] == "application/json"


def test_function_enricher_failed_execution_is_not_retried() -> None:
    answer = httpx.Response(200, json={"status": "FAILED", "errorMessage": "abort: no such key=abc in line 3"})
    message, server = failure(answer)
    assert message == "abort: no such key=[redacted] in line 3"
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_function_enricher_honours_retry_after(status: int) -> None:
    server = FakeServer(problem(status, "busy", **{"Retry-After": "5"}), completed({"company": "Acme"}))
    assert enrich(server).company == "Acme"
    assert server.times == [0, 5]


def test_function_enricher_honours_retry_after_as_a_date() -> None:
    dates = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2015 07:28:09 GMT"}
    server = FakeServer(problem(503, "starting", **dates), completed({"company": "Acme"}))
    assert enrich(server).company == "Acme"
    assert server.times == [0, 9]


def test_function_enricher_retry_after_beyond_the_limit_fails_at_once() -> None:
    message, server = failure(problem(503, "closed", **{"Retry-After": "3600"}))
    assert (
        message
        == "the faas server answered 503: closed; the server asks to wait 3600 s, longer than the accepted 300 s"
    )
    assert server.times == [0]


@pytest.mark.parametrize("status", [400, 404, 413, 302])
def test_function_enricher_other_errors_are_not_retried_and_show_the_problem(status: int) -> None:
    message, server = failure(problem(status, "no function has the name 'enrich'"))
    assert message == f"the faas server answered {status}: no function has the name 'enrich'"
    assert len(server.received) == 1


def test_function_enricher_problem_without_detail_shows_title_or_status() -> None:
    assert failure(httpx.Response(400, json={"title": "Bad"}))[0] == "the faas server answered 400: Bad"
    assert failure(httpx.Response(404, text="<html>"))[0] == "the faas server answered 404: Not Found"


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadError(""), httpx.ReadTimeout("slow")])
def test_function_enricher_retries_without_a_response(error: httpx.TransportError) -> None:
    message, server = failure(error)
    assert message.startswith("the faas server cannot be reached: ")
    assert len(server.received) == 4


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(200, text="<html>"), "the faas server's answer is not an execution in JSON"),
        (httpx.Response(200, json=[1]), "the faas server's answer is not an execution in JSON"),
        (httpx.Response(200, content=b"\xff"), "the faas server's answer is not an execution in JSON"),
        (httpx.Response(200, json={"status": "RUNNING"}), "the execution is RUNNING"),
        (completed("text"), "the function's output is not a JSON object"),
        (completed(None), "the function's output is not a JSON object"),
        (completed({"title": ["x"]}), "the function's output has a title that is not text"),
    ],
)
def test_function_enricher_invalid_answer_is_not_retried(answer: httpx.Response, message: str) -> None:
    shown, server = failure(answer)
    assert shown == message
    assert len(server.received) == 1


def test_function_enricher_sends_its_token_to_the_faas_server_alone() -> None:
    server = FakeServer(completed({}))
    enrich(server)
    enrich(server, token="hush-hush")
    assert [request.headers.get("Authorization") for request in server.received] == [None, "Bearer hush-hush"]
    server = FakeServer(httpx.Response(307, headers={"Location": "https://other.test/"}))
    with pytest.raises(EnrichmentFailed, match="answered 307"):
        enrich(server, token="hush-hush")
    assert [request.url.host for request in server.received] == ["faas.test"]


def test_function_enricher_says_what_to_do_about_its_token_and_does_not_show_it() -> None:
    refusal = problem(401, "hush-hush is no token")
    message, _ = failure(refusal)
    assert message.endswith("hush-hush is no token; pass one in FAAS_TOKEN")
    with pytest.raises(EnrichmentFailed, match=r"\[redacted\] is no token; the token in FAAS_TOKEN is not admitted$"):
        enrich(FakeServer(refusal), token="hush-hush")

"""The function enricher against a fake of the platform's HTTP API, in virtual time."""

from collections.abc import Callable

import httpx
import msgspec
import pytest

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.attempts import Attempts
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.pipeline.enrichers.function import FunctionEnricher
from faas.compute_module.pipeline.rate import RateLimit
from tests.helpers.compute_module import virtual_time


class Platform:
    """Gives the answers in turn, the last one for ever."""

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


def enrich(platform: Callable[[httpx.Request], httpx.Response], name: str = "enrich") -> Enrichment:
    async def main() -> Enrichment:
        enricher = FunctionEnricher("http://faas.test", name, httpx.MockTransport(platform))
        try:
            return await Attempts(3, 30, RateLimit(0)).enrich(enricher, "jane@acme.example")
        finally:
            await enricher.aclose()

    return virtual_time.run(main())


def failure(*answers: httpx.Response | Exception) -> tuple[str, Platform]:
    platform = Platform(*answers)
    with pytest.raises(EnrichmentFailed) as caught:
        enrich(platform)
    return str(caught.value), platform


def test_the_function_gets_the_address_and_gives_any_of_the_fields() -> None:
    platform = Platform(
        completed({"company": "Acme", "confidence": 0.9, "title": None, "other": [1], "description": True})
    )
    assert enrich(platform, "my fn/1") == Enrichment(company="Acme", confidence="0.9", description="true")
    (request,) = platform.received
    assert request.method == "POST"
    assert request.url.raw_path == b"/functions/my%20fn%2F1/execute"
    assert msgspec.json.decode(request.content) == {"input": {"email": "jane@acme.example"}}
    assert request.headers["Content-Type"] == "application/json"


def test_a_failed_execution_is_an_error_for_good() -> None:
    answer = httpx.Response(200, json={"status": "FAILED", "errorMessage": "abort: no such key=abc in line 3"})
    message, platform = failure(answer)
    assert message == "abort: no such key=[redacted] in line 3"
    assert len(platform.received) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_saturation_is_waited_out_as_long_as_the_platform_asks(status: int) -> None:
    platform = Platform(problem(status, "busy", **{"Retry-After": "5"}), completed({"company": "Acme"}))
    assert enrich(platform).company == "Acme"
    assert platform.times == [0, 5]


@pytest.mark.parametrize("status", [400, 404, 413, 302])
def test_other_refusals_are_for_good_and_say_what_the_platform_says(status: int) -> None:
    message, platform = failure(problem(status, "no function has the name 'enrich'"))
    assert message == f"the platform answered {status}: no function has the name 'enrich'"
    assert len(platform.received) == 1


def test_a_problem_without_detail_is_named_by_its_title_or_status() -> None:
    assert failure(httpx.Response(400, json={"title": "Bad"}))[0] == "the platform answered 400: Bad"
    assert failure(httpx.Response(404, text="<html>"))[0] == "the platform answered 404: Not Found"


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadError(""), httpx.ReadTimeout("slow")])
def test_no_answer_is_tried_again(error: httpx.TransportError) -> None:
    message, platform = failure(error)
    assert message.startswith("the platform cannot be reached: ")
    assert len(platform.received) == 4


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(200, text="<html>"), "the platform's answer is not an execution in JSON"),
        (httpx.Response(200, json=[1]), "the platform's answer is not an execution in JSON"),
        (httpx.Response(200, content=b"\xff"), "the platform's answer is not an execution in JSON"),
        (httpx.Response(200, json={"status": "RUNNING"}), "the execution is RUNNING"),
        (completed("text"), "the function's output is not a JSON object"),
        (completed(None), "the function's output is not a JSON object"),
        (completed({"title": ["x"]}), "the function's output has a title that is not text"),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_for_good(answer: httpx.Response, message: str) -> None:
    shown, platform = failure(answer)
    assert shown == message
    assert len(platform.received) == 1

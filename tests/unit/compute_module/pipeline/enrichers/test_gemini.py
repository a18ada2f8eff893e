"""The Gemini enricher: the official SDK against a fake of the HTTP API, in virtual time."""

import asyncio
import sys
from typing import Any

import httpx
import msgspec
import pytest

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.pipeline.enrichers.gemini import GeminiEnricher
from faas.compute_module.pipeline.rate_limiter import RateLimiter
from faas.compute_module.pipeline.retry_policy import RetryPolicy
from faas.compute_module.pipeline.rows import ok_row
from faas.errors import ConfigurationError
from tests.helpers.compute_module import virtual_time
from tests.helpers.compute_module.fake_gemini import (
    PERSON,
    FakeGemini,
    candidate,
    error,
    person,
    quota_failure,
    retry_info,
)

KEY = "gemini-test-key-0123456789"


def enrich(
    fake: FakeGemini | httpx.AsyncBaseTransport, *, max_retries: int = 3, request_timeout: float = 30, **options: Any
) -> Enrichment:
    """Return the result of a run for one address."""
    transport = httpx.ASGITransport(app=fake) if isinstance(fake, FakeGemini) else fake

    async def main() -> Enrichment:
        if isinstance(fake, FakeGemini):
            fake.now = virtual_time.now
        enricher = GeminiEnricher(key=KEY, model="gemini-x", transport=transport, **options)
        try:
            return await RetryPolicy(max_retries, request_timeout, RateLimiter(0)).enrich(enricher, "jane@acme.example")
        finally:
            await enricher.aclose()

    return virtual_time.run(main())


def failure(*answers: Any, **options: Any) -> tuple[str, FakeGemini]:
    fake = FakeGemini(*answers)
    with pytest.raises(EnrichmentFailed) as caught:
        enrich(fake, **options)
    assert KEY not in str(caught.value)
    return str(caught.value), fake


def test_gemini_enricher_request_is_that_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", "another key")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    fake = FakeGemini(person())
    assert enrich(fake, base_url="http://gemini.test/proxy") == msgspec.convert(PERSON, Enrichment)
    (request,) = fake.received
    assert request.path == "/proxy/v1beta/models/gemini-x:generateContent"
    assert request.headers["x-goog-api-key"] == KEY
    assert request.headers["host"] == "gemini.test"
    assert request.body["contents"][0]["parts"][0]["text"].endswith("\n\njane@acme.example")
    assert request.body["tools"] == [{"googleSearch": {}}, {"urlContext": {}}]
    config = request.body["generationConfig"]
    assert (config["candidateCount"], config["responseMimeType"]) == (1, "application/json")
    schema = {name: value for name, value in config["responseSchema"].items() if name != "property_ordering"}
    assert schema == {
        "type": "OBJECT",
        "properties": {name: {"type": "STRING"} for name in PERSON},
        "required": list(PERSON),
    }


def test_gemini_enricher_joins_parts_and_drops_thoughts() -> None:
    parts = [{"text": "hm", "thought": True}, {"text": '{"linkedin_url":"u","company":"c","title":"t",'}]
    parts.append({"text": '"description":" d ","confidence":"low"}'})
    found = enrich(FakeGemini({"candidates": [{"content": {"parts": parts}}]}))
    assert found.description == "d"


@pytest.mark.parametrize(
    "answer",
    [
        error(429, "RESOURCE_EXHAUSTED", "slow down"),
        error(500, "INTERNAL", "oops"),
        error(503, "UNAVAILABLE", "busy"),
        (502, b"<html>bad gateway</html>"),
        (503, "<html>nicht verf\u00fcgbar</html>".encode("latin-1")),
        (500, b"[" * 99999),
        (500, b""),
    ],
)
def test_gemini_enricher_retries_429_and_5xx(answer: Any) -> None:
    fake = FakeGemini(answer, answer, person())
    assert enrich(fake).company == "Acme"
    assert len(fake.received) == 3
    assert fake.times[2] > fake.times[1] > fake.times[0]


def test_gemini_enricher_lasting_429_shows_the_apis_message() -> None:
    message, fake = failure(error(429, "RESOURCE_EXHAUSTED", f"quota of key={KEY} used up"))
    assert message == "Gemini answered 429 RESOURCE_EXHAUSTED: quota of key=[redacted] used up"
    assert len(fake.received) == 4


BUSY = (429, "RESOURCE_EXHAUSTED", "slow down")
DATES = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry-After": "Wed, 21 Oct 2015 07:28:04 GMT"}


@pytest.mark.parametrize(
    "answer",
    [
        error(*BUSY, retry_info("4s")),
        error(*BUSY, retry_info("4.000000000s")),
        error(*BUSY, quota_failure("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), retry_info("4s")),
        error(503, "UNAVAILABLE", "overloaded", retry_info("4s")),
        (429, [error(*BUSY, retry_info("4s"))[1]]),
        (429, b"<html>", {"Retry-After": "4"}),
        (503, b"\xff", {"Retry-After": "4"}),
        (429, b"", DATES),
        (*error(*BUSY, retry_info("4s")), {"Retry-After": "1"}),
        (*error(*BUSY, retry_info("1s")), {"Retry-After": "4"}),
    ],
)
def test_gemini_enricher_honours_the_wait_that_the_server_names(answer: Any) -> None:
    fake = FakeGemini(answer, person())
    assert enrich(fake, request_timeout=1).company == "Acme"
    assert [round(time, 6) for time in fake.times] == [0, 4]


@pytest.mark.parametrize("delay", ["", "4", "-4s", "4m", "1e3s", 4, None, {"seconds": 4}, "9" * 40 + "s"])
def test_gemini_enricher_malformed_retry_delay_is_the_usual_back_off(delay: Any) -> None:
    fake = FakeGemini(error(*BUSY, retry_info(delay)), person())
    assert enrich(fake).company == "Acme"
    assert 0 < fake.times[1] < 0.3


@pytest.mark.parametrize(
    "details", [3, None, [3, None, []], [{"violations": 3}], [{"violations": [3, {"quotaId": 3}]}]]
)
def test_gemini_enricher_malformed_error_details_are_ignored(details: Any) -> None:
    body = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down", "details": details}}
    message, fake = failure((429, body))
    assert message == "Gemini answered 429 RESOURCE_EXHAUSTED: slow down"
    assert len(fake.received) == 4


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            error(
                *BUSY, quota_failure("GenerateRequestsPerDayPerProjectPerModel-FreeTier", value="50"), retry_info("9s")
            ),
            "429 RESOURCE_EXHAUSTED (quota GenerateRequestsPerDayPerProjectPerModel-FreeTier of 50): slow down",
        ),
        (
            error(*BUSY, quota_failure("RequestsPerMinute", value="0"), retry_info("9s")),
            "429 RESOURCE_EXHAUSTED (quota RequestsPerMinute of 0): slow down",
        ),
        (
            error(*BUSY, retry_info("86400s")),
            "429 RESOURCE_EXHAUSTED: slow down; the server asks to wait 86400 s, longer than the accepted 300 s",
        ),
        (
            (503, b"closed", {"Retry-After": "301"}),
            "503 Service Unavailable: closed; the server asks to wait 301 s, longer than the accepted 300 s",
        ),
    ],
)
def test_gemini_enricher_quota_that_lasts_fails_at_once_with_the_reason(answer: Any, message: str) -> None:
    shown, fake = failure(answer)
    assert shown == f"Gemini answered {message}"
    assert fake.times == [0]


@pytest.mark.parametrize("answer", [error(499, "CANCELLED", "gone"), error(400, "CANCELLED", "gone"), (499, b"")])
def test_gemini_enricher_retries_499_once(answer: Any) -> None:
    assert len(failure(answer)[1].received) == 2
    assert enrich(FakeGemini(answer, person())).company == "Acme"


@pytest.mark.parametrize("code", [400, 401, 403, 404, 302])
def test_gemini_enricher_other_errors_are_not_retried(code: int) -> None:
    message, fake = failure(error(code, "NOPE", "API key not valid"))
    assert message == f"Gemini answered {code} NOPE: API key not valid"
    assert len(fake.received) == 1


def test_gemini_enricher_retries_a_timeout() -> None:
    fake = FakeGemini(None, person())
    assert enrich(fake, request_timeout=2).company == "Acme"
    assert 2 < fake.times[1] < 2.3
    message, fake = failure(None, request_timeout=0.3, max_retries=1)
    assert message == "no answer within 300ms"
    assert len(fake.received) == 2


@pytest.mark.parametrize("kind", [httpx.ConnectError, httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError])
def test_gemini_enricher_retries_refused_and_reset_connections(kind: type[httpx.TransportError]) -> None:
    tries = 0

    def break_off(_: httpx.Request) -> httpx.Response:
        nonlocal tries
        tries += 1
        raise kind(f"broken for key={KEY}")

    with pytest.raises(EnrichmentFailed, match="Gemini cannot be reached: broken for key=") as caught:
        enrich(httpx.MockTransport(break_off))
    assert tries == 4
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "[]",
        "{}",
        '{"company": "x"}',
        '{"linkedin_url":1,"company":"c","title":"t","description":"d","confidence":"c"}',
    ],
)
def test_gemini_enricher_other_json_is_not_retried(text: str) -> None:
    message, fake = failure(candidate(text))
    assert message == "Gemini's answer is not the JSON that was asked for"
    assert len(fake.received) == 1


@pytest.mark.parametrize(
    "raw", [b"<html>", b'{"candidates": [', b"[]", b'{"candidates": 3}', b"\xff", b"null", b"[" * 99999]
)
def test_gemini_enricher_malformed_body_is_not_retried(raw: bytes) -> None:
    message, fake = failure(raw)
    assert message.startswith("Gemini")
    assert "\n" not in message
    assert len(fake.received) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY"),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "MAX_TOKENS"),
        ({}, "it was empty"),
        (candidate("  "), "STOP"),
    ],
)
def test_gemini_enricher_answer_without_text_shows_the_reason(body: Any, reason: str) -> None:
    assert failure(body)[0] == f"Gemini gave no answer: {reason}"


def test_gemini_enricher_without_the_sdk_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.genai", None)
    with pytest.raises(ConfigurationError, match="with its extra `gemini`"):
        GeminiEnricher(key=KEY, model="m")


AUDIT = {
    "groundingMetadata": {
        "groundingChunks": [
            {"web": {"uri": " https://a "}},
            {"web": {"uri": "https://b"}},
            {"web": {}},
            {"retrievedContext": {}},
            {"web": {"uri": "https://a"}},
        ],
        "webSearchQueries": ["jane acme", " jane acme ", "", "acme ceo"],
    },
    "urlContextMetadata": {"urlMetadata": [{"retrievedUrl": "https://b"}, {"retrievedUrl": "https://c"}, {}]},
}


def test_gemini_enricher_audit_has_each_source_and_query_once() -> None:
    found = enrich(FakeGemini(person(**AUDIT)), capture_audit=True)
    row = ok_row("a@x.io", found, "gemini-x")
    assert row.sources == '["https://a","https://b","https://c"]'
    assert row.web_search_queries == '["jane acme","acme ceo"]'


def test_gemini_enricher_without_audit_both_columns_are_empty() -> None:
    row = ok_row("a@x.io", enrich(FakeGemini(person(**AUDIT))), "gemini-x")
    assert (row.sources, row.web_search_queries) == ("", "")
    nothing = enrich(FakeGemini(person()), capture_audit=True)
    assert (nothing.sources, nothing.web_search_queries) == ((), ())


def test_gemini_enricher_concurrent_calls_share_one_client() -> None:
    fake = FakeGemini(person())

    async def main() -> list[Enrichment]:
        enricher = GeminiEnricher(key=KEY, model="m", transport=httpx.ASGITransport(app=fake))
        found = await asyncio.gather(*[enricher.enrich(f"{number}@x.io") for number in range(20)])
        await enricher.aclose()
        return found

    assert len(virtual_time.run(main())) == 20
    assert len(fake.received) == 20

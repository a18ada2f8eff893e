"""The Gemini enricher: the official SDK against a fake of the HTTP API, in virtual time."""

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any

import httpx
import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.pipeline.enrichers.gemini import GeminiEnricher
from faas.compute_module.pipeline.enrichers.gemini_answers import parse_answer
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


ASKED_FOR = "Gemini's answer is not the JSON that was asked for: "
JSON = msgspec.json.encode(PERSON).decode()
PARTS_OF_AN_EMOJI = json.dumps("\U0001f600")[1:7], json.dumps("\U0001f600")[7:13]


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{JSON}\n```",
        f"```\n{JSON}```\nSources: [1] {{see above}}",
        f"Here is {{the}} result:\n\n{JSON}\n\nI hope that this helps.",
        f"\ufeff  {JSON}",
        f"[{JSON}]",
        f'{{"person": {JSON}}}',
        json.dumps(JSON),
        f"{JSON}\n{JSON}",
        JSON.replace('"title"', '"seniority": {"company": "x"}, "title"'),
        f"Draft: {{}} Final: {json.dumps(PERSON, indent=2)}",
    ],
)
def test_gemini_answer_in_a_wrapper_is_used(text: str) -> None:
    fake = FakeGemini(candidate(text))
    assert enrich(fake) == msgspec.convert(PERSON, Enrichment)
    assert len(fake.received) == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"confidence": 0.9, "company": 3, "title": True}, Enrichment(confidence="0.9", company="3", title="true")),
        ({"company": "Acme", "title": None}, Enrichment(company="Acme")),
        ({"company": "Acme", "age": 40, "tags": ["x"]}, Enrichment(company="Acme")),
        ({"title": ["CTO", "Founder", "CTO", None, ""]}, Enrichment(title="CTO, Founder")),
        ({"linkedin_url": ["u"], "confidence": [], "company": " A "}, Enrichment(linkedin_url="u", company="A")),
    ],
)
def test_gemini_answer_values_of_other_types_become_text(fields: dict[str, Any], expected: Enrichment) -> None:
    assert enrich(FakeGemini(candidate(json.dumps(fields)))) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not JSON", "it has no JSON object with the fields"),
        ("[]", "it has no JSON object with the fields"),
        ("{}", "it has no JSON object with the fields"),
        ('{"name": "Jane"}', "it has no JSON object with the fields"),
        ("{'company': 'Acme'}", "it has no JSON object with the fields"),
        (f'{JSON} or {{"company": "B"}}', "it has 2 different JSON objects with the fields"),
        (f'[{JSON}, {{"company": "B"}}]', "it has 2 different JSON objects with the fields"),
        ('{"company": {"name": "Acme"}}', "its company is not a text"),
        ('{"linkedin_url": ["u", "v"]}', "its linkedin_url is not a text"),
        ('{"title": [["CTO"]]}', "its title is not a text"),
    ],
)
def test_gemini_answer_of_other_content_is_not_retried(text: str, reason: str) -> None:
    message, fake = failure(candidate(text))
    assert message == ASKED_FOR + reason
    assert len(fake.received) == 1


@pytest.mark.parametrize(
    ("text", "finish", "shown"),
    [
        (JSON[:40], "MAX_TOKENS", " (MAX_TOKENS)"),
        (f"```json\n{JSON[:-1]}", "STOP", ""),
        (f"[{JSON}, {JSON[:20]}", "MAX_TOKENS", " (MAX_TOKENS)"),
        ('{"company": {"company": "inner"}, "title', "MAX_TOKENS", " (MAX_TOKENS)"),
        ('{"company": "Acme",}', "STOP", ""),
        ('{"company": NaN}', "STOP", ""),
        ('{"company": "\\ud83d"}', "STOP", ""),
    ],
)
def test_gemini_answer_that_was_cut_off_is_retried_once(text: str, finish: str, shown: str) -> None:
    cut_off = candidate(text, finishReason=finish)
    message, fake = failure(cut_off)
    assert message == f"{ASKED_FOR}its JSON ends early or is malformed{shown}"
    assert len(fake.received) == 2
    assert enrich(FakeGemini(cut_off, person())).company == "Acme"


@pytest.mark.parametrize("depth", [400, 900, 990, 5000])
def test_gemini_answer_that_is_nested_deeply_is_refused(depth: int) -> None:
    for text in ('{"a":' * depth, "[" * depth, '{"a":' * depth + "1" + "}" * depth, "[" * depth + "]" * depth):
        assert failure(candidate(text))[0].startswith("Gemini's answer is not ")


@pytest.mark.parametrize("finish", ["MAX_TOKENS", "OTHER", "MALFORMED_RESPONSE"])
def test_gemini_answer_that_is_complete_is_used_whatever_ended_it(finish: str) -> None:
    assert enrich(FakeGemini(person(finishReason=finish))).company == "Acme"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY"),
        (
            {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": f"key={KEY}\nno"}},
            "PROHIBITED_CONTENT: key=[redacted] no",
        ),
        (b'{"promptFeedback":{"blockReason":"SAFETY","blockReasonMessage":"\\ud83d"}}', "SAFETY: \ufffd"),
        (person(finishReason="SAFETY"), "SAFETY"),
        (candidate(JSON[:20], finishReason="PROHIBITED_CONTENT"), "PROHIBITED_CONTENT"),
        ({"candidates": [{"finishReason": "SPII"}]}, "SPII"),
    ],
)
def test_gemini_refusal_is_not_retried_and_names_the_reason(body: Any, reason: str) -> None:
    message, fake = failure(body)
    assert message == f"Gemini gave no answer: {reason}"
    assert len(fake.received) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "it was empty"),
        ({"candidates": []}, "it was empty"),
        ({"candidates": [{}], "usageMetadata": {"promptTokenCount": 3}}, "it was empty"),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "MAX_TOKENS"),
        ({"candidates": [{"finishReason": "RECITATION"}]}, "RECITATION"),
        (person(finishReason="RECITATION"), "RECITATION"),
        ({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}, "MALFORMED_FUNCTION_CALL"),
        ({"candidates": [{"content": {"parts": [{"text": JSON, "thought": True}]}, "finishReason": "STOP"}]}, "STOP"),
        ({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}, "it was empty"),
        ({"promptFeedback": {"blockReason": "OTHER"}}, "OTHER"),
    ],
)
def test_gemini_answer_without_content_is_retried_once_and_names_the_reason(body: Any, reason: str) -> None:
    message, fake = failure(body)
    assert message == f"Gemini gave no answer: {reason}"
    assert len(fake.received) == 2
    assert enrich(FakeGemini(body, person())).company == "Acme"


@pytest.mark.filterwarnings("ignore:FROM_THE_FUTURE is not a valid FinishReason")
def test_gemini_finish_reason_of_a_later_api_is_named() -> None:
    assert failure({"candidates": [{"finishReason": "FROM_THE_FUTURE"}]})[0] == "Gemini gave no answer: FROM_THE_FUTURE"


def test_gemini_answer_with_half_a_surrogate_pair_can_be_written() -> None:
    high, low = PARTS_OF_AN_EMOJI
    body = msgspec.json.encode(candidate('{"company":"@"}', groundingMetadata={"webSearchQueries": ["@"]}))
    for half, expected in ((high, "\ufffd"), (low, "\ufffd"), (high + low, "\U0001f600")):
        found = enrich(FakeGemini(body.replace(b"@", half.encode())), capture_audit=True)
        assert (found.company, found.web_search_queries) == (expected, (expected,))


@given(st.text(max_size=60), st.integers(0, len(JSON)))
def test_gemini_answer_any_text_is_read_or_refused(text: str, end: int) -> None:
    for answer in (text, JSON[:end] + text, text + JSON):
        content = types.Content(parts=[types.Part(text=answer)])
        response = types.GenerateContentResponse(candidates=[types.Candidate(content=content)])
        with suppress(EnrichmentFailed):
            msgspec.json.encode(parse_answer(response, capture_audit=True))


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

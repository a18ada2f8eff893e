"""A fake of the Gemini HTTP API, as an ASGI application with given answers."""

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec

PERSON = {
    "linkedin_url": "https://l/in/a",
    "company": "Acme",
    "title": "CTO",
    "description": "D.",
    "confidence": "high",
}


class Received(msgspec.Struct, frozen=True):
    """A request that the API received."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


def candidate(text: str, **more: Any) -> dict[str, Any]:
    """Return the body of a success with one candidate."""
    return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", **more}]}


def person(**more: Any) -> dict[str, Any]:
    """Return the body of a success with the structured output."""
    return candidate(msgspec.json.encode(PERSON).decode(), **more)


def error(code: int, status: str, message: str, *details: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return an error in the API's form."""
    return code, {"error": {"code": code, "status": status, "message": message, "details": [*details]}}


def retry_info(delay: str) -> dict[str, Any]:
    """Return the detail of an error that asks for a wait."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def quota_failure(*quotas: str, value: str = "5") -> dict[str, Any]:
    """Return the detail of an error that names exceeded quotas."""
    violations = [{"quotaMetric": "m", "quotaId": quota, "quotaValue": value} for quota in quotas]
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}


class FakeGemini:
    """Gives the answers in turn and repeats the last.

    An answer is a body, a status with a body and perhaps headers, raw bytes, None for no answer, or a function that
    returns one of these.
    """

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.received: list[Received] = []
        self.now: Callable[[], float] = lambda: 0.0
        self.times: list[float] = []

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.received.append(Received(scope["path"], headers, msgspec.json.decode(body)))
        self.times.append(self.now())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if callable(answer):
            answer = answer()
        if answer is None:
            await asyncio.Event().wait()
        status, content, *more_headers = answer if isinstance(answer, tuple) else (200, answer)
        given = {"content-type": "application/json", **(more_headers[0] if more_headers else {})}
        raw = content if isinstance(content, bytes) else msgspec.json.encode(content)
        raw_headers = [(name.encode(), value.encode()) for name, value in given.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw_headers})
        await send({"type": "http.response.body", "body": raw})

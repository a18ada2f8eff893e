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


def error(code: int, status: str, message: str) -> tuple[int, dict[str, Any]]:
    """Return an error in the API's form."""
    return code, {"error": {"code": code, "status": status, "message": message}}


class FakeGemini:
    """Gives the answers in turn and repeats the last: a body, a status with a body, raw bytes, or None for no answer."""

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
        if answer is None:
            await asyncio.Event().wait()
        status, content = answer if isinstance(answer, tuple) else (200, answer)
        raw = content if isinstance(content, bytes) else msgspec.json.encode(content)
        start = {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        await send(start)
        await send({"type": "http.response.body", "body": raw})

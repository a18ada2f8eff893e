"""Calls of functions with an environment, with secrets, and with HTTP requests."""

import hashlib
from typing import Any

import msgspec

from faas.compile.outcome import CompileFailure
from faas.compile.surroundings import NONE, Surroundings
from faas.runtime import Limits, Outcome, frames
from faas.runtime.http_messages import HttpRequest, HttpResponse
from faas.runtime.reach import NOTHING, Reach
from tests.helpers.local_functions import LocalFunctions


def get(path: str = "/", query: str = "", **headers: str) -> HttpRequest:
    """Return a request without a body. `_` in a name of a header is a hyphen."""
    return request("GET", path, query, b"", **headers)


def post(body: bytes, path: str = "/", **headers: str) -> HttpRequest:
    """Return a request with a body."""
    return request("POST", path, "", body, **headers)


def request(method: str, path: str, query: str, body: bytes, **headers: str) -> HttpRequest:
    """Return a request."""
    return HttpRequest(
        method=method,
        origin="http://localhost:8080",
        base_path="/f/web",
        path=path,
        query=query,
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
        body=body,
        client_address="127.0.0.1",
    )


class RefusingSession:
    """Outbound requests that are all refused, whatever their frames contain."""

    def __init__(self, *_: object) -> None:
        self._begun = 0

    def start(self, _frame: bytes) -> int:
        """Return the next number."""
        self._begun += 1
        return self._begun

    def take(self, number: int) -> bytes | None:
        """Return an error for each request that has begun."""
        return frames.encode(frames.ResponseHead(error="refused"), b"") if 1 <= number <= self._begun else None

    def records(self) -> tuple[Any, ...]:
        """Return nothing."""
        return ()

    def close(self) -> None:
        """Do nothing."""


class WebFunction(msgspec.Struct, frozen=True):
    """A function that is compiled, and what its calls may reach."""

    functions: LocalFunctions
    binary: bytes
    reach: Reach = NOTHING

    async def call(self, given: HttpRequest | bytes = b"{}", limits: Limits | None = None) -> Outcome:
        """Return the outcome of one call."""

        async def load() -> bytes:
            return self.binary

        digest = hashlib.sha256(self.binary).digest()
        return await self.functions.local.runtime.run(digest, load, given, limits, reach=self.reach)

    async def respond(self, given: HttpRequest) -> HttpResponse:
        """Return the response to a request, which must succeed."""
        outcome = await self.call(given)
        assert outcome.error is None, outcome.error
        assert outcome.response is not None
        return outcome.response

    async def value(self, given: HttpRequest | bytes = b"{}") -> object:
        """Return the JSON document that one call answers, which must succeed."""
        outcome = await self.call(given)
        assert outcome.error is None, outcome.error
        answer = outcome.response.body if outcome.response else outcome.output
        assert answer is not None
        return msgspec.json.decode(answer)


async def compile_error(functions: LocalFunctions, source: str, surroundings: Surroundings = NONE) -> str:
    """Return why `source` does not compile."""
    compiled = await functions.local.compilers["javascript"].compile(source, surroundings)
    assert isinstance(compiled, CompileFailure)
    return compiled.diagnostics


async def deployed(
    functions: LocalFunctions, source: str, surroundings: Surroundings = NONE, reach: Reach = NOTHING
) -> WebFunction:
    """Return the function of `source`, which must compile."""
    compiled = await functions.local.compilers["javascript"].compile(source, surroundings)
    assert not isinstance(compiled, CompileFailure), compiled.diagnostics
    return WebFunction(functions, compiled.binary, reach)

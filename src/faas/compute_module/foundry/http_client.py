"""The HTTP client of Foundry: bearer token, time limit, retries, and error messages without secrets."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import structlog

from faas.compute_module.errors import FoundryRequestFailed
from faas.compute_module.foundry.environment import FoundryEnvironment, create_tls_context
from faas.compute_module.foundry.error_responses import body_excerpt, failure_of_response
from faas.compute_module.pipeline.retry_after import (
    MAX_RETRY_AFTER_SECONDS,
    is_transient,
    parse_http_date,
    read_retry_after,
)
from faas.compute_module.redaction import redact_message

log = structlog.get_logger()

TIMEOUT_SECONDS = 60.0
RETRY_PAUSES_SECONDS = (0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0)  # after each failed attempt but the last: eight attempts
_CHUNK_BYTES = 1 << 20
_UNCONFIRMED = "faas.seconds_since_unconfirmed_attempt"  # a key of httpx.Response.extensions


class FoundryHttpClient:
    """Sends requests to one Foundry; a context manager. `transport` replaces the network in tests."""

    def __init__(self, environment: FoundryEnvironment, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._token = environment.token
        self._client = httpx.AsyncClient(
            transport=transport,
            verify=create_tls_context(environment.ca_path) if transport is None else True,
            timeout=TIMEOUT_SECONDS,
            headers={"Authorization": f"Bearer {environment.token}"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def request_json(
        self,
        operation: str,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """Return the decoded JSON of a successful response. `operation` names the request in messages.

        Raises FoundryRequestFailed.
        """
        response = await self.request(operation, method, url, query=query)
        if not response.is_success:
            raise self.failure_of(operation, response)
        return self.decode_json(operation, response)

    def decode_json(self, operation: str, response: httpx.Response) -> Any:
        """Return the decoded body of a response. Raises FoundryRequestFailed when it is not JSON."""
        try:
            return msgspec.json.decode(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            shown = body_excerpt(response.content, self._token) or "(empty)"
            raise FoundryRequestFailed(operation, f"the answer is not JSON: {shown}", response.status_code) from None

    def failure_of(self, operation: str, response: httpx.Response) -> FoundryRequestFailed:
        """Return the error of a response that is not a success."""
        return failure_of_response(operation, response, self._token)

    async def request(
        self,
        operation: str,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        upload: Path | None = None,
        download_to: Path | None = None,
    ) -> httpx.Response:
        """Return the response of the last attempt, with any status.

        429, 5xx and transport errors are retried, in eight attempts; a response whose Retry-After is longer than
        MAX_RETRY_AFTER_SECONDS is the last. The request has `body` as JSON or the content of the file `upload`. With
        `download_to` the body of a success is written to that file and is not in the response.

        Raises FoundryRequestFailed when the last attempt has no response.
        """
        headers = {}
        if upload:
            length = await asyncio.to_thread(upload.stat)
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length.st_size)}
        elif body is not None:
            headers = {"Content-Type": "application/json"}
        encoded = None if body is None else msgspec.json.encode(body)

        async def attempt() -> httpx.Response:
            request = self._client.build_request(
                method, url, params=query, content=_read_chunks(upload) if upload else encoded, headers=headers
            )
            return await self._send(request, download_to)

        is_unconfirmed = False  # an attempt had no response, or a 5xx: Foundry may have executed it
        began = asyncio.get_running_loop().time()
        for pause in (*RETRY_PAUSES_SECONDS, None):
            wait = 0.0
            try:
                response = await attempt()
            except httpx.RequestError as error:
                if pause is None or not isinstance(error, httpx.TransportError) or _is_final(error):
                    raise FoundryRequestFailed(operation, self._describe_transport_error(url, error)) from None
                reason = self._describe_transport_error(url, error)
                is_unconfirmed = True
            else:
                accepted_wait = _accepted_wait(response)
                if pause is None or accepted_wait is None:
                    if is_unconfirmed:
                        response.extensions[_UNCONFIRMED] = asyncio.get_running_loop().time() - began
                    return response
                is_unconfirmed = is_unconfirmed or response.status_code != httpx.codes.TOO_MANY_REQUESTS
                wait = accepted_wait
                reason = f"status {response.status_code}"
            longer_pause = max(pause, wait)
            log.warning("foundry_request.retried", operation=operation, reason=reason, pause=longer_pause)
            await asyncio.sleep(longer_pause)
        raise AssertionError("the last attempt returns or raises")

    async def _send(self, request: httpx.Request, download_to: Path | None) -> httpx.Response:
        response = await self._client.send(request, stream=True)
        try:
            if download_to and response.is_success:
                with download_to.open("wb") as file:
                    async for chunk in response.aiter_bytes(_CHUNK_BYTES):
                        file.write(chunk)
                # The body is in the file, so headers that describe its length and encoding are left out.
                headers = {name: response.headers[name] for name in ("Content-Type",) if name in response.headers}
                return httpx.Response(response.status_code, headers=headers, request=request)
            await response.aread()
            return response
        finally:
            await response.aclose()

    def _describe_transport_error(self, url: str, error: httpx.RequestError) -> str:
        host = httpx.URL(url).netloc.decode("ascii", "replace")
        if isinstance(error, httpx.TimeoutException):
            return f"no answer from {host} within {TIMEOUT_SECONDS:g}s"
        reason = redact_message(str(error), self._token) or type(error).__name__
        if isinstance(error, httpx.ConnectError):
            return f"cannot connect to {host}: {reason}"
        return f"the connection to {host} broke: {reason}"


async def _read_chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk


def seconds_since_unconfirmed_attempt(response: httpx.Response) -> float | None:
    """Return the seconds from the first attempt to `response`, when Foundry may have executed that attempt.

    That is so when an earlier attempt had no response or a 5xx. None for every other response.
    """
    seconds: float | None = response.extensions.get(_UNCONFIRMED)
    return seconds


def server_time(response: httpx.Response) -> datetime | None:
    """Return the time in the header `Date`, by the server's clock, to the second; None without it."""
    return parse_http_date(response.headers.get("Date", ""))


def _accepted_wait(response: httpx.Response) -> float | None:
    """Return the seconds that a response asks to wait before a retry; None when it is not retried."""
    wait = read_retry_after(response.headers) or 0.0
    return wait if is_transient(response.status_code) and wait <= MAX_RETRY_AFTER_SECONDS else None


def _is_final(error: httpx.RequestError) -> bool:
    """Return whether a retry cannot help: an untrusted certificate or a wrong URL stays so."""
    return isinstance(error, httpx.UnsupportedProtocol) or "CERTIFICATE_VERIFY_FAILED" in str(error)

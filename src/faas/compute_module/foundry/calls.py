"""One HTTP call to Foundry with what all of them share: the token, the time limit, and what is tried again."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec
import structlog

from faas.compute_module.errors import FoundryRequestFailed
from faas.compute_module.foundry.environment import FoundryEnvironment, create_tls_context
from faas.compute_module.foundry.failure import describe, excerpt
from faas.compute_module.redaction import redact_message

log = structlog.get_logger()

TIMEOUT = 60.0
PAUSES = (0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0)  # seconds after each failure but the last: eight attempts
LONGEST_ASKED_PAUSE = 60.0
_CHUNK = 1 << 20
_MAY_HAVE_BEEN_DONE = "faas.may_have_been_done"


class Calls:
    """An HTTP client for one Foundry, a context manager. `transport` replaces the network in tests."""

    def __init__(self, environment: FoundryEnvironment, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._token = environment.token
        self._client = httpx.AsyncClient(
            transport=transport,
            verify=create_tls_context(environment.ca_path) if transport is None else True,
            timeout=TIMEOUT,
            headers={"Authorization": f"Bearer {environment.token}"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def json(
        self,
        operation: str,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Any:
        """The decoded answer. `operation` names the call in messages. Raises FoundryRequestFailed."""
        response = await self.call(operation, method, url, query=query)
        if not response.is_success:
            raise self.failure(operation, response)
        return self.decode(operation, response)

    def decode(self, operation: str, response: httpx.Response) -> Any:
        """The body of a success as JSON. Raises FoundryRequestFailed when it is none."""
        try:
            return msgspec.json.decode(response.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            shown = excerpt(response.content, self._token) or "(empty)"
            raise FoundryRequestFailed(operation, f"the answer is not JSON: {shown}", response.status_code) from None

    def failure(self, operation: str, response: httpx.Response) -> FoundryRequestFailed:
        """What an answer that is not a success says."""
        return describe(operation, response, self._token)

    async def call(
        self,
        operation: str,
        method: str,
        url: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        upload: Path | None = None,
        into: Path | None = None,
    ) -> httpx.Response:
        """The last answer, whatever its status; other than success, redirects and refusals it was tried eight times.

        `body` is sent as JSON, or the bytes of the file `upload`. With `into` the body of a success goes to that file
        and is not in the response. Raises FoundryRequestFailed when no answer came.
        """
        headers = {}
        if upload:
            length = await asyncio.to_thread(upload.stat)
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length.st_size)}
        elif body is not None:
            headers = {"Content-Type": "application/json"}
        encoded = None if body is None else msgspec.json.encode(body)

        async def once() -> httpx.Response:
            request = self._client.build_request(
                method, url, params=query, content=_chunks(upload) if upload else encoded, headers=headers
            )
            return await self._send(request, into)

        unclear = False  # whether an attempt had no answer, or one that leaves open what became of it
        began = asyncio.get_running_loop().time()
        for pause in (*PAUSES, None):
            asked = None
            try:
                response = await once()
            except httpx.RequestError as error:
                if pause is None or not isinstance(error, httpx.TransportError) or _is_final(error):
                    raise FoundryRequestFailed(operation, self._no_answer(url, error)) from None
                reason = self._no_answer(url, error)
                unclear = True
            else:
                if pause is None or not _is_transient(response.status_code):
                    if unclear:
                        response.extensions[_MAY_HAVE_BEEN_DONE] = asyncio.get_running_loop().time() - began
                    return response
                unclear = unclear or response.status_code != httpx.codes.TOO_MANY_REQUESTS
                asked = retry_after(response.headers.get("Retry-After", ""))
                reason = f"status {response.status_code}"
            longer = max(pause, min(asked or 0.0, LONGEST_ASKED_PAUSE))
            log.warning("foundry.retry", operation=operation, reason=reason, pause=longer)
            await asyncio.sleep(longer)
        raise AssertionError("the last attempt returns or raises")

    async def _send(self, request: httpx.Request, into: Path | None) -> httpx.Response:
        response = await self._client.send(request, stream=True)
        try:
            if into and response.is_success:
                with into.open("wb") as file:
                    async for chunk in response.aiter_bytes(_CHUNK):
                        file.write(chunk)
                return httpx.Response(response.status_code, headers=_plain(response.headers), request=request)
            await response.aread()
            return response
        finally:
            await response.aclose()

    def _no_answer(self, url: str, error: httpx.RequestError) -> str:
        host = httpx.URL(url).netloc.decode("ascii", "replace")
        if isinstance(error, httpx.TimeoutException):
            return f"no answer from {host} within {TIMEOUT:g}s"
        reason = redact_message(str(error), self._token) or type(error).__name__
        if isinstance(error, httpx.ConnectError):
            return f"cannot connect to {host}: {reason}"
        return f"the connection to {host} broke: {reason}"


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            yield chunk


def may_have_been_done(response: httpx.Response) -> float | None:
    """For the answer to a repeated call of which an earlier attempt may have reached Foundry all the same: how many
    seconds before this answer the first attempt began. None for other answers."""
    seconds: float | None = response.extensions.get(_MAY_HAVE_BEEN_DONE)
    return seconds


def moment_of(response: httpx.Response) -> datetime | None:
    """What time it was for the server when it answered, to the second; None when it does not say."""
    try:
        moment = parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def retry_after(text: str) -> float | None:
    """Seconds in a Retry-After header, which holds a number or a date; None for anything else."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment.tzinfo else None


def _is_transient(status: int) -> bool:
    return status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR


def _is_final(error: httpx.RequestError) -> bool:
    """A certificate that is not trusted will not be trusted in two seconds either."""
    return isinstance(error, httpx.UnsupportedProtocol) or "CERTIFICATE_VERIFY_FAILED" in str(error)


def _plain(headers: httpx.Headers) -> dict[str, str]:
    return {name: headers[name] for name in ("Content-Type",) if name in headers}

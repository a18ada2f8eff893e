"""A function deployed on our own platform, called over its HTTP API: any function can be mapped over a table."""

import re
from urllib.parse import quote

import httpx
import msgspec

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.redaction import redact, shorten

FIELDS = Enrichment.__struct_fields__[:5]
_REASON_LIMIT = 400
_TRANSIENT = 500


class _Execution(msgspec.Struct, rename="camel"):
    status: str
    output: msgspec.Raw = msgspec.Raw(b"null")
    error_message: str | None = None


class _Problem(msgspec.Struct):
    title: str | None = None
    detail: str | None = None


class FunctionEnricher:
    """Calls `POST {url}/functions/{name}/execute` with `{"input": {"email": …}}`.

    The output is an object with any of the five enrichment fields; null and a missing field are "", numbers and
    booleans are written as JSON writes them. A FAILED execution is for good: the function would fail again.
    """

    def __init__(self, url: str, name: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._path = f"{url}/functions/{quote(name, safe='')}/execute"
        self._name = name
        # the run limits the time of an attempt and the number at once
        self._client = httpx.AsyncClient(
            transport=transport, timeout=httpx.Timeout(None), limits=httpx.Limits(max_connections=None)
        )

    @property
    def model(self) -> str:
        """The function's name."""
        return self._name

    async def enrich(self, email: str) -> Enrichment:
        """One execution. Raises EnrichmentFailed."""
        body = msgspec.json.encode({"input": {"email": email}})
        try:
            response = await self._client.post(self._path, content=body, headers={"Content-Type": "application/json"})
        except httpx.DecodingError:
            raise EnrichmentFailed("the platform's answer is not encoded as it says") from None
        except httpx.RequestError as error:
            raise EnrichmentFailed(
                f"the platform cannot be reached: {error or type(error).__name__}", "always"
            ) from None
        if response.status_code != httpx.codes.OK:
            raise _refusal(response)
        try:
            execution = msgspec.json.decode(response.content, type=_Execution)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise EnrichmentFailed("the platform's answer is not an execution in JSON") from None
        if execution.status != "COMPLETED":
            reason = execution.error_message or f"the execution is {execution.status}"
            raise EnrichmentFailed(shorten(redact(reason), _REASON_LIMIT))
        return _enrichment(execution.output)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _enrichment(output: msgspec.Raw) -> Enrichment:
    try:
        found = msgspec.json.decode(output)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EnrichmentFailed("the function's output is not a JSON object")
    return msgspec.convert({field: _text(field, found.get(field)) for field in FIELDS}, Enrichment)


def _text(field: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    raise EnrichmentFailed(f"the function's output has a {field} that is not text")


def _refusal(response: httpx.Response) -> EnrichmentFailed:
    status = response.status_code
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        problem = _Problem()
    detail = problem.detail or problem.title or response.reason_phrase
    transient = status == httpx.codes.TOO_MANY_REQUESTS or status >= _TRANSIENT
    after = response.headers.get("Retry-After", "")
    return EnrichmentFailed(
        f"the platform answered {status}: {shorten(redact(detail), _REASON_LIMIT)}",
        retry="always" if transient else "never",
        retry_after=float(after) if re.fullmatch(r"[0-9]{1,6}", after) else None,
    )

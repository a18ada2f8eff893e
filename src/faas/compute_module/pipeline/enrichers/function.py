"""The enricher `function`: a function deployed on a faas server, invoked over its HTTP API."""

from urllib.parse import quote

import httpx
import msgspec

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.pipeline.retry_after import is_transient, read_retry_after
from faas.compute_module.redaction import redact, shorten

OUTPUT_FIELDS = Enrichment.__struct_fields__[:5]
_MAX_REASON_BYTES = 400


class _Execution(msgspec.Struct, rename="camel"):
    status: str
    output: msgspec.Raw = msgspec.Raw(b"null")
    error_message: str | None = None


class _Problem(msgspec.Struct):
    title: str | None = None
    detail: str | None = None


class FunctionEnricher:
    """Invokes the function `name` with the input `{"email": …}`, and with `token` where there is one.

    The output is an object with any of the five enrichment fields. Null and a missing field are "", numbers and
    booleans become their JSON text. A FAILED execution is not retried: the function would fail again.
    """

    def __init__(
        self, url: str, name: str, transport: httpx.AsyncBaseTransport | None = None, *, token: str | None = None
    ) -> None:
        self._path = f"{url}/functions/{quote(name, safe='')}/execute"
        self._name = name
        # No limits here: the run limits the time of an attempt and the number of concurrent ones.
        self._client = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(None),
            limits=httpx.Limits(max_connections=None),
            follow_redirects=False,  # the token is for this server
        )
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._secrets = (token,) if token else ()

    @property
    def model(self) -> str:
        """The name of the function."""
        return self._name

    async def enrich(self, email: str) -> Enrichment:
        """Return the output of one execution. Raises EnrichmentFailed."""
        body = msgspec.json.encode({"input": {"email": email}})
        try:
            response = await self._client.post(self._path, content=body, headers=self._headers)
        except httpx.DecodingError:
            raise EnrichmentFailed(
                "the faas server's answer does not have the encoding that its header names"
            ) from None
        except httpx.RequestError as error:
            raise EnrichmentFailed(
                f"the faas server cannot be reached: {error or type(error).__name__}", "always"
            ) from None
        if response.status_code != httpx.codes.OK:
            raise self._error_of(response)
        try:
            execution = msgspec.json.decode(response.content, type=_Execution)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise EnrichmentFailed("the faas server's answer is not an execution in JSON") from None
        if execution.status != "COMPLETED":
            reason = execution.error_message or f"the execution is {execution.status}"
            raise EnrichmentFailed(shorten(redact(reason, *self._secrets), _MAX_REASON_BYTES))
        return _parse_output(execution.output)

    def _error_of(self, response: httpx.Response) -> EnrichmentFailed:
        status = response.status_code
        try:
            problem = msgspec.json.decode(response.content, type=_Problem)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            problem = _Problem()
        detail = problem.detail or problem.title or response.reason_phrase
        if status == httpx.codes.UNAUTHORIZED:
            sent = "the token in FAAS_TOKEN is not admitted" if self._secrets else "pass one in FAAS_TOKEN"
            detail = f"{detail}; {sent}"
        return EnrichmentFailed(
            f"the faas server answered {status}: {shorten(redact(detail, *self._secrets), _MAX_REASON_BYTES)}",
            retry="always" if is_transient(status) else "never",
            retry_after=read_retry_after(response.headers) if is_transient(status) else None,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _parse_output(output: msgspec.Raw) -> Enrichment:
    try:
        found = msgspec.json.decode(output)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EnrichmentFailed("the function's output is not a JSON object")
    return msgspec.convert({field: _text(field, found.get(field)) for field in OUTPUT_FIELDS}, Enrichment)


def _text(field: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    raise EnrichmentFailed(f"the function's output has a {field} that is not text")

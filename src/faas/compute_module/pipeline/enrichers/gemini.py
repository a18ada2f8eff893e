"""The enricher `gemini`: one Gemini call per address, with Google Search, URL context and structured output.

The SDK is the optional extra `gemini`. It gets our HTTP client, so that its transport and the exceptions of it do not
depend on which packages are installed (docs/decisions/0020-http-client-of-the-gemini-sdk.md).
"""

import httpx

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.pipeline.enrichers.gemini_answers import FIELDS, parse_answer
from faas.compute_module.pipeline.enrichers.gemini_errors import failure_of_response
from faas.compute_module.redaction import redact, shorten
from faas.errors import ConfigurationError

API_VERSION = "v1beta"  # v1, the SDK's default, does not accept the tools
_MAX_REASON_BYTES = 400
_NOT_A_RESPONSE = "Gemini's answer is not what its API promises"

INSTRUCTIONS = (
    "Identify the person who uses the e-mail address below, with Google Search and the pages it finds. Report the URL "
    "of their LinkedIn profile, the company they work for, their job title, one sentence about them, and your "
    "confidence (high, medium or low). Use an empty string for what you cannot find; do not guess."
)


class GeminiEnricher:
    """Calls `model`; with `capture_audit` a result contains the sources and search queries of the answer."""

    def __init__(
        self,
        *,
        key: str,
        model: str,
        base_url: str | None = None,
        capture_audit: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        try:
            from google import genai
            from google.genai import types
        except ImportError:
            raise ConfigurationError(
                "--enricher gemini needs the Gemini SDK, which is not installed: install faas with its extra `gemini`"
            ) from None
        self.model = model
        self._key = key
        self._capture_audit = capture_audit
        # No limits here: the run limits the time of an attempt and the number of concurrent ones.
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=httpx.Timeout(None),
            limits=httpx.Limits(max_connections=None),
            event_hooks={"response": [self._check_response]},
        )
        # Referenced as long as calls run: the SDK closes its connections when the client is garbage-collected.
        self._client = genai.Client(
            api_key=key,
            enterprise=False,
            http_options=types.HttpOptions(api_version=API_VERSION, base_url=base_url, httpx_async_client=self._http),
        )
        self._config = types.GenerateContentConfig(
            candidate_count=1,
            response_mime_type="application/json",
            response_schema=types.Schema(
                type=types.Type.OBJECT,
                properties={name: types.Schema(type=types.Type.STRING) for name in FIELDS},
                required=list(FIELDS),
            ),
            tools=[types.Tool(google_search=types.GoogleSearch()), types.Tool(url_context=types.UrlContext())],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )

    async def enrich(self, email: str) -> Enrichment:
        """Return the result of one call. Raises EnrichmentFailed."""
        try:
            response = await self._client.aio.models.generate_content(
                model=self.model, contents=f"{INSTRUCTIONS}\n\n{email}", config=self._config
            )
        except httpx.RequestError as error:
            reason = redact(str(error), self._key) or type(error).__name__
            raise EnrichmentFailed(
                f"Gemini cannot be reached: {shorten(reason, _MAX_REASON_BYTES)}", "always"
            ) from None
        except (ValueError, TypeError, AttributeError, RecursionError):
            # Raised by the SDK, depending on its version, for a response that it cannot parse.
            raise EnrichmentFailed(_NOT_A_RESPONSE) from None
        return parse_answer(response, capture_audit=self._capture_audit)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        self._client.close()

    async def _check_response(self, response: httpx.Response) -> None:
        """Raise EnrichmentFailed for any status but 200, and for a body that is not a JSON object.

        A hook of the HTTP client, because the SDK does not pass on the status of a response whose body is not UTF-8,
        and takes `null` or an array for a response without candidates.
        """
        body = await response.aread()
        if response.status_code != httpx.codes.OK:
            raise failure_of_response(response, self._key)
        if not body.lstrip().startswith(b"{"):
            raise EnrichmentFailed(_NOT_A_RESPONSE)

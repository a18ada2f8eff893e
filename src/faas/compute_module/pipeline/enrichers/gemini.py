"""Gemini: one call per address, with Google Search and the pages it finds, answered in a fixed JSON shape.

The SDK is the optional extra `gemini`. It gets an HTTP client of ours: which of its three transports it would choose
depends on what else is installed, and each raises exceptions of its own.
"""

from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.redaction import redact, shorten
from faas.errors import ConfigurationError

if TYPE_CHECKING:
    from google.genai import types

API_VERSION = "v1beta"  # the SDK's own choice, v1, refuses the tools
_REASON_LIMIT = 400
_SERVER_ERRORS = 500
_CANCELLED = 499

INSTRUCTIONS = (
    "Identify the person who uses the e-mail address below, with Google Search and the pages it finds. Report the URL "
    "of their LinkedIn profile, the company they work for, their job title, one sentence about them, and your "
    "confidence (high, medium or low). Use an empty string for what you cannot find; do not guess."
)


class _Answer(msgspec.Struct):
    linkedin_url: str
    company: str
    title: str
    description: str
    confidence: str


class GeminiEnricher:
    """Asks `model`. With `capture_audit` the sources and the search queries of an answer are kept."""

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
            from google.genai import errors, types
        except ImportError:
            raise ConfigurationError(
                "--enricher gemini needs the Gemini SDK, which is not installed: install faas with its extra `gemini`"
            ) from None
        self.model = model
        self._key = key
        self._capture_audit = capture_audit
        self._api_error = errors.APIError
        # the run limits the time of an attempt and the number at once
        self._http = httpx.AsyncClient(
            transport=transport, timeout=httpx.Timeout(None), limits=httpx.Limits(max_connections=None)
        )
        # kept for as long as calls run: the SDK closes its connections when the client is collected
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
                properties={name: types.Schema(type=types.Type.STRING) for name in _Answer.__struct_fields__},
                required=list(_Answer.__struct_fields__),
            ),
            tools=[types.Tool(google_search=types.GoogleSearch()), types.Tool(url_context=types.UrlContext())],
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )

    async def enrich(self, email: str) -> Enrichment:
        """One call. Raises EnrichmentFailed."""
        try:
            response = await self._client.aio.models.generate_content(
                model=self.model, contents=f"{INSTRUCTIONS}\n\n{email}", config=self._config
            )
        except self._api_error as error:
            raise self._refusal(error) from None
        except httpx.RequestError as error:
            reason = redact(str(error), self._key) or type(error).__name__
            raise EnrichmentFailed(f"Gemini cannot be reached: {shorten(reason, _REASON_LIMIT)}", "always") from None
        except (ValueError, TypeError, AttributeError, RecursionError):
            # what the SDK raises, depending on its version, for an answer that it cannot make sense of
            raise EnrichmentFailed("Gemini's answer is not what its API promises") from None
        return self._enrichment(response)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
        self._client.close()

    def _refusal(self, error: Any) -> EnrichmentFailed:
        code = error.code if isinstance(error.code, int) else 0
        status = error.status if isinstance(error.status, str) else ""
        said = redact(f"{status}: {error.message or ''}".strip(": "), self._key)
        failure = f"Gemini answered {code} {shorten(said, _REASON_LIMIT)}".rstrip()
        if code == _CANCELLED or status == "CANCELLED":
            return EnrichmentFailed(failure, retry="once")
        transient = code == httpx.codes.TOO_MANY_REQUESTS or code >= _SERVER_ERRORS
        return EnrichmentFailed(failure, retry="always" if transient else "never")

    def _enrichment(self, response: "types.GenerateContentResponse") -> Enrichment:
        candidate = response.candidates[0] if response.candidates else None
        parts = (candidate.content.parts if candidate and candidate.content else None) or []
        text = "".join(part.text for part in parts if part.text and not part.thought)
        if not text.strip():
            raise EnrichmentFailed(f"Gemini gave no answer: {_why_empty(response, candidate)}")
        try:
            answer = msgspec.json.decode(text, type=_Answer)
        except (msgspec.MsgspecError, RecursionError):
            raise EnrichmentFailed("Gemini's answer is not the JSON that was asked for") from None
        sources, queries = _audit(candidate) if self._capture_audit else ((), ())
        found = {name: value.strip() for name, value in msgspec.structs.asdict(answer).items()}
        return msgspec.convert({**found, "sources": sources, "web_search_queries": queries}, Enrichment)


def _why_empty(response: "types.GenerateContentResponse", candidate: "types.Candidate | None") -> str:
    feedback = response.prompt_feedback
    reason = (feedback and feedback.block_reason) or (candidate and candidate.finish_reason)
    return redact(str(reason.value)) if reason else "it was empty"


def _audit(candidate: "types.Candidate | None") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The addresses an answer rests on, found or retrieved, and the searches made for it."""
    grounding = candidate.grounding_metadata if candidate else None
    context = candidate.url_context_metadata if candidate else None
    found = [chunk.web.uri for chunk in (grounding.grounding_chunks if grounding else None) or [] if chunk.web]
    retrieved = [entry.retrieved_url for entry in (context.url_metadata if context else None) or []]
    queries = (grounding.web_search_queries if grounding else None) or []
    return _once_each([*found, *retrieved]), _once_each(queries)


def _once_each(texts: "list[str | None] | list[str]") -> tuple[str, ...]:
    return tuple(dict.fromkeys(stripped for text in texts if text and (stripped := text.strip())))

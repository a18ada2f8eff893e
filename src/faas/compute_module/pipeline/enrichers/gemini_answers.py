"""The content of a Gemini response: the JSON that was asked for, or the reason why there is none.

The response schema is not binding for every model and tool, so the JSON may be in a Markdown fence, between sentences,
in an array or in another object. It is used when the response contains exactly one object with any of the fields.
"""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.redaction import redact, shorten

if TYPE_CHECKING:
    from google.genai import types

FIELDS = Enrichment.__struct_fields__[:5]
_SINGLE_VALUED = frozenset({"linkedin_url", "confidence"})
# The content is withheld for what it says; the same prompt leads to it again.
REFUSALS = frozenset(
    {
        "SAFETY",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "LANGUAGE",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "MODEL_ARMOR",
        "JAILBREAK",
    }
)
_WITHHELD = REFUSALS | {"RECITATION", "IMAGE_RECITATION"}  # text that came before is not used
_FINISHED = frozenset({"", "STOP", "FINISH_REASON_UNSPECIFIED"})
_MAX_REASON_BYTES = 400
_JSON_START = re.compile(r'\{\s*["}]|\[\s*\{')  # not the braces of a sentence
_UNREADABLE = (msgspec.MsgspecError, RecursionError)


def parse_answer(response: "types.GenerateContentResponse", *, capture_audit: bool) -> Enrichment:
    """Return the enrichment in a response. Raises EnrichmentFailed, `once` when another attempt may answer better.

    That is so for a response that was cut off or is empty. A refusal, and a complete response with other content, are
    not retried.
    """
    candidate = response.candidates[0] if response.candidates else None
    finish = _name(candidate.finish_reason) if candidate else ""
    parts = (candidate.content.parts if candidate and candidate.content else None) or []
    text = _well_formed("".join(part.text for part in parts if part.text and not part.thought))
    if not text.strip() or finish in _WITHHELD:
        raise _no_answer(response, finish)
    try:
        found = _find_object(text)
        fields = {field: _field_text(field, found.get(field)) for field in FIELDS}
    except RecursionError:
        raise EnrichmentFailed("Gemini's answer is not the JSON that was asked for: it is nested too deep") from None
    except _UnusableAnswer as error:
        reason = f"Gemini's answer is not the JSON that was asked for: {error}"
        is_cut_off = error.retry == "once" or finish not in _FINISHED
        shown_finish = "" if finish in _FINISHED else f" ({redact(finish)})"
        raise EnrichmentFailed(
            shorten(reason + shown_finish, _MAX_REASON_BYTES), "once" if is_cut_off else "never"
        ) from None
    sources, queries = _audit(candidate) if capture_audit else ((), ())
    return msgspec.convert({**fields, "sources": sources, "web_search_queries": queries}, Enrichment)


class _UnusableAnswer(Exception):
    """Raised when a text does not have the content that was asked for."""

    def __init__(self, reason: str, retry: Literal["never", "once"] = "never") -> None:
        super().__init__(reason)
        self.retry = retry


def _no_answer(response: "types.GenerateContentResponse", finish: str) -> EnrichmentFailed:
    feedback = response.prompt_feedback
    blocked = _name(feedback.block_reason) if feedback else ""
    reason = blocked or finish or "it was empty"
    if feedback and blocked and feedback.block_reason_message:
        reason += f": {_well_formed(feedback.block_reason_message)}"
    retry: Literal["never", "once"] = "never" if (blocked or finish) in REFUSALS else "once"
    return EnrichmentFailed(shorten(redact(f"Gemini gave no answer: {reason}"), _MAX_REASON_BYTES), retry)


def _name(reason: "types.FinishReason | types.BlockedReason | None") -> str:
    return _well_formed(str(reason.value)) if reason else ""


def _find_object(text: str) -> dict[str, Any]:
    """Return the only object in `text` that has any of the fields; equal ones count as one."""
    found: list[dict[str, Any]] = []
    for value in _json_values(text):
        found += [candidate for candidate in _objects_with_fields(value) if candidate not in found]
    if not found:
        raise _UnusableAnswer("it has no JSON object with the fields")
    if len(found) > 1:
        raise _UnusableAnswer(f"it has {len(found)} different JSON objects with the fields")
    return found[0]


def _json_values(text: str) -> Iterator[Any]:
    """Return the JSON values in `text`: the whole text, JSON in a JSON string, or what is between sentences.

    Raises _UnusableAnswer for an object that ends early or is malformed: an object inside it is not the answer.
    """
    try:
        whole = msgspec.json.decode(text)
    except _UNREADABLE:
        pass
    else:
        if not isinstance(whole, str):
            yield whole
            return
        text = whole
    position = 0
    while start := _JSON_START.search(text, position):
        try:
            _, position = json.JSONDecoder().raw_decode(text, start.start())
            value = msgspec.json.decode(text[start.start() : position])  # which, unlike json, accepts only JSON
        except (*_UNREADABLE, ValueError):
            raise _UnusableAnswer("its JSON ends early or is malformed", "once") from None
        yield value


def _objects_with_fields(value: Any) -> Iterator[dict[str, Any]]:
    """Return the outermost objects in a JSON value that have any of the fields."""
    if isinstance(value, dict):
        if not value.keys().isdisjoint(FIELDS):
            yield value
            return
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _objects_with_fields(inner)


def _field_text(field: str, value: Any) -> str:
    """Return a field as text: null and a missing field are blank, numbers and booleans their JSON text.

    An array is the list of its values, which for `linkedin_url` and `confidence` may have one value.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list) and not any(isinstance(inner, dict | list) for inner in value):
        texts = list(dict.fromkeys(text for inner in value if (text := _field_text(field, inner))))
        if len(texts) <= 1 or field not in _SINGLE_VALUED:
            return ", ".join(texts)
    raise _UnusableAnswer(f"its {field} is not a text")


def _audit(candidate: "types.Candidate | None") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the URLs of the grounding chunks and of the retrieved pages, and the search queries."""
    grounding = candidate.grounding_metadata if candidate else None
    context = candidate.url_context_metadata if candidate else None
    found = [chunk.web.uri for chunk in (grounding.grounding_chunks if grounding else None) or [] if chunk.web]
    retrieved = [entry.retrieved_url for entry in (context.url_metadata if context else None) or []]
    queries = (grounding.web_search_queries if grounding else None) or []
    return _unique([*found, *retrieved]), _unique(queries)


def _unique(texts: "list[str | None] | list[str]") -> tuple[str, ...]:
    return tuple(dict.fromkeys(stripped for text in texts if text and (stripped := _well_formed(text).strip())))


def _well_formed(text: str) -> str:
    """Return `text` with lone surrogates, which the SDK lets pass and UTF-8 cannot hold, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

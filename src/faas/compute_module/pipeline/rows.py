"""The output row: eleven text columns, in the same order in every format."""

from collections.abc import Sequence

import msgspec

from faas.compute_module.pipeline.enrichers.enricher import Enrichment


class Row(msgspec.Struct, frozen=True, array_like=True):
    """A row of the output. `sources` and `web_search_queries` are JSON arrays of texts, or empty."""

    email: str = ""
    linkedin_url: str = ""
    company: str = ""
    title: str = ""
    description: str = ""
    confidence: str = ""
    status: str = ""
    error: str = ""
    model: str = ""
    sources: str = ""
    web_search_queries: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether a later run may reuse this row."""
        return self.status.strip().casefold() == "ok"


COLUMNS: tuple[str, ...] = Row.__struct_fields__
EMPTY_EMAIL = "empty email"


def ok_row(email: str, enrichment: Enrichment, model: str) -> Row:
    """Return the row of an address that was enriched."""
    return Row(
        email=email,
        linkedin_url=enrichment.linkedin_url,
        company=enrichment.company,
        title=enrichment.title,
        description=enrichment.description,
        confidence=enrichment.confidence,
        status="ok",
        model=model,
        sources=_json_array(enrichment.sources),
        web_search_queries=_json_array(enrichment.web_search_queries),
    )


def error_row(email: str, reason: str, model: str) -> Row:
    """Return the row of an address that was not enriched: blank enrichment fields, the reason and the model."""
    return Row(email=email, status="error", error=reason, model=model)


def _json_array(texts: Sequence[str]) -> str:
    return msgspec.json.encode(texts).decode() if texts else ""

"""The seam: what a run asks of an enricher and what it gets."""

from typing import Protocol

import msgspec


class Enrichment(msgspec.Struct, frozen=True):
    """What was found about one address; a field that is not known is empty."""

    linkedin_url: str = ""
    company: str = ""
    title: str = ""
    description: str = ""
    confidence: str = ""
    sources: tuple[str, ...] = ()
    web_search_queries: tuple[str, ...] = ()


class Enricher(Protocol):
    """Finds out about one address at a time; several calls run at once."""

    @property
    def model(self) -> str:
        """What the `model` column says."""

    async def enrich(self, email: str) -> Enrichment:
        """One attempt for a trimmed, non-empty address. The caller limits its time and tries again.

        Raises EnrichmentFailed, whose reason holds no secret.
        """

    async def aclose(self) -> None:
        """Let go of connections."""

"""The interface between a run and its enricher."""

from typing import Protocol

import msgspec


class Enrichment(msgspec.Struct, frozen=True):
    """The result for one address; unknown fields are empty."""

    linkedin_url: str = ""
    company: str = ""
    title: str = ""
    description: str = ""
    confidence: str = ""
    sources: tuple[str, ...] = ()
    web_search_queries: tuple[str, ...] = ()


class Enricher(Protocol):
    """Enriches one address at a time; calls run concurrently."""

    @property
    def model(self) -> str:
        """The value of the column `model`."""

    async def enrich(self, email: str) -> Enrichment:
        """Return the enrichment of a trimmed, non-empty address, in one attempt.

        The caller limits the time and retries. Raises EnrichmentFailed, whose reason contains no secret.
        """

    async def aclose(self) -> None:
        """Close connections."""

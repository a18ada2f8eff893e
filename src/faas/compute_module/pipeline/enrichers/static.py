"""The enricher `static`: a deterministic result from the address itself, offline, for demos and tests."""

import re

from faas.compute_module.pipeline.enrichers.enricher import Enrichment

_SEPARATORS = re.compile(r"[._\-+\d]+")


class StaticEnricher:
    """Derives the name from the local part of an address and the company from its domain."""

    model = "static"

    async def enrich(self, email: str) -> Enrichment:
        """Return the same result for the same address. Never fails."""
        local, _, domain = email.partition("@")
        words = [word for word in _SEPARATORS.split(local) if word]
        name = " ".join(word.capitalize() for word in words) or local
        company = domain.partition(".")[0].replace("-", " ").title()
        return Enrichment(
            linkedin_url="https://www.linkedin.com/in/" + "-".join(word.lower() for word in words) if words else "",
            company=company,
            title="Employee" if company else "",
            description=f"{name} of {company}" if company else name,
            confidence="low",
        )

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

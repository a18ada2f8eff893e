"""Deterministic and offline: what the address itself says. For demos and tests."""

import re

from faas.compute_module.pipeline.enrichers.enricher import Enrichment

_SEPARATORS = re.compile(r"[._\-+\d]+")


class StaticEnricher:
    """Takes the name from the part before the @ and the company from the part after it."""

    model = "static"

    async def enrich(self, email: str) -> Enrichment:
        """Never fails; the same address always gives the same answer."""
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
        """Nothing to let go of."""

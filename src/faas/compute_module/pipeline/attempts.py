"""One address, several attempts: the time limit, the rate limit, what is tried again and after which pause."""

import asyncio
import random

import msgspec
import structlog

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enricher, Enrichment
from faas.compute_module.pipeline.rate import RateLimit
from faas.compute_module.redaction import hash_email
from faas.units import format_duration

log = structlog.get_logger()

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 2.0
JITTER = 0.2
LONGEST_ASKED_PAUSE = 60.0


class Attempts(msgspec.Struct, frozen=True):
    """How an address is tried. `max_retries` come after the first attempt; `request_timeout` is seconds for each."""

    max_retries: int
    request_timeout: float
    rate: RateLimit

    async def enrich(self, enricher: Enricher, email: str) -> Enrichment:
        """What `enricher` finds, after as many attempts as it takes. Raises the last attempt's EnrichmentFailed."""
        attempt = 0
        once = 0  # failures that one retry is worth, however often other ones were retried before
        while True:
            await self.rate.wait()  # outside the time limit: a wait for our own bucket is not the other side's fault
            try:
                return await self._once(enricher, email)
            except EnrichmentFailed as failure:
                once += failure.retry == "once"
                if failure.retry == "never" or once > 1 or attempt >= self.max_retries:
                    raise
                pause = max(back_off(attempt), min(failure.retry_after or 0, LONGEST_ASKED_PAUSE))
                log.info(
                    "enrichment.retry", email=hash_email(email), attempt=attempt + 1, pause=pause, reason=failure.reason
                )
            await asyncio.sleep(pause)
            attempt += 1

    async def _once(self, enricher: Enricher, email: str) -> Enrichment:
        try:
            async with asyncio.timeout(self.request_timeout):
                return await enricher.enrich(email)
        except TimeoutError:
            limit = format_duration(self.request_timeout)
            raise EnrichmentFailed(f"no answer within {limit}", retry="always") from None


def back_off(attempt: int) -> float:
    """Seconds to wait after the `attempt`th failure, counted from 0: 0.2 doubling to 2, 20 % more or less."""
    pause: float = min(FIRST_PAUSE * 2.0 ** min(attempt, 10), LONGEST_PAUSE)
    return pause * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, protects nothing

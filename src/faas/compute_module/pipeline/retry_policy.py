"""The attempts for one address: rate limit, time limit, retries with exponential back-off."""

import asyncio
import random

import msgspec
import structlog

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enricher, Enrichment
from faas.compute_module.pipeline.rate_limiter import RateLimiter
from faas.compute_module.redaction import hash_email
from faas.units import format_duration

log = structlog.get_logger()

FIRST_BACKOFF_SECONDS = 0.2
MAX_BACKOFF_SECONDS = 2.0
JITTER_FRACTION = 0.2
MAX_RETRY_AFTER_SECONDS = 60.0


class RetryPolicy(msgspec.Struct, frozen=True):
    """How an address is retried: `max_retries` after the first attempt, `request_timeout` seconds for each attempt."""

    max_retries: int
    request_timeout: float
    rate_limiter: RateLimiter

    async def enrich(self, enricher: Enricher, email: str) -> Enrichment:
        """Return the result of the first attempt that succeeds. Raises EnrichmentFailed of the last attempt."""
        attempt = 0
        failures_retried_once = 0  # counted apart from other failures
        while True:
            await self.rate_limiter.acquire()  # before the time limit begins: the wait is not the server's fault
            try:
                return await self._attempt(enricher, email)
            except EnrichmentFailed as failure:
                failures_retried_once += failure.retry == "once"
                if failure.retry == "never" or failures_retried_once > 1 or attempt >= self.max_retries:
                    raise
                pause = max(backoff_seconds(attempt), min(failure.retry_after or 0, MAX_RETRY_AFTER_SECONDS))
                log.info(
                    "enrichment.retried",
                    email=hash_email(email),
                    attempt=attempt + 1,
                    pause=pause,
                    reason=failure.reason,
                )
            await asyncio.sleep(pause)
            attempt += 1

    async def _attempt(self, enricher: Enricher, email: str) -> Enrichment:
        try:
            async with asyncio.timeout(self.request_timeout):
                return await enricher.enrich(email)
        except TimeoutError:
            limit = format_duration(self.request_timeout)
            raise EnrichmentFailed(f"no answer within {limit}", retry="always") from None


def backoff_seconds(attempt: int) -> float:
    """Return the pause after the failure of attempt number `attempt`, counted from 0, with jitter."""
    pause: float = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(attempt, 10), MAX_BACKOFF_SECONDS)
    return pause * random.uniform(1 - JITTER_FRACTION, 1 + JITTER_FRACTION)  # noqa: S311 - spreads load, not a secret

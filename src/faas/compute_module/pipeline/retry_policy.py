"""The attempts for one address: rate limit, time limit, retries after a back-off or the wait that the server names."""

import asyncio
import random

import msgspec
import structlog

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enricher, Enrichment
from faas.compute_module.pipeline.rate_limiter import RateLimiter
from faas.compute_module.pipeline.retry_after import MAX_RETRY_AFTER_SECONDS, describe_too_long
from faas.compute_module.redaction import hash_email
from faas.units import format_duration

log = structlog.get_logger()

FIRST_BACKOFF_SECONDS = 0.2
MAX_BACKOFF_SECONDS = 2.0
JITTER_FRACTION = 0.2
MAX_UNCOUNTED_WAIT_SECONDS = 1800.0  # for one address, in waits that do not count towards `max_retries`


class RetryPolicy(msgspec.Struct, frozen=True):
    """How an address is retried: `max_retries` after the first attempt, `request_timeout` seconds for each attempt.

    A wait that the server names replaces a shorter back-off, holds back every worker of the run, and is not part of the
    time limit. A retry after it does not count towards `max_retries` when another attempt of the run has succeeded
    since the previous failure: the server works, and others used its quota.
    """

    max_retries: int
    request_timeout: float
    rate_limiter: RateLimiter

    async def enrich(self, enricher: Enricher, email: str) -> Enrichment:
        """Return the result of the first attempt that succeeds. Raises EnrichmentFailed of the last attempt."""
        retries = 0  # that count
        failures_retried_once = 0  # counted apart from other failures
        uncounted_wait = 0.0
        successes = self.rate_limiter.successes
        while True:
            await self.rate_limiter.acquire()  # before the time limit begins: the wait is not the server's fault
            try:
                enrichment = await self._attempt(enricher, email)
            except EnrichmentFailed as failure:
                wait = failure.retry_after or 0.0
                if wait > MAX_RETRY_AFTER_SECONDS and failure.retry != "never":
                    failure = EnrichmentFailed(f"{failure.reason}; {describe_too_long(wait)}", retry_after=wait)
                if wait:
                    self.rate_limiter.hold(wait, failure.reason)
                failures_retried_once += failure.retry == "once"
                if failure.retry == "never" or failures_retried_once > 1 or not self.max_retries:
                    raise failure from None
                backoff = backoff_seconds(retries)
                others_succeeded = self.rate_limiter.successes > successes
                successes = self.rate_limiter.successes
                if wait >= backoff and others_succeeded and uncounted_wait + wait <= MAX_UNCOUNTED_WAIT_SECONDS:
                    uncounted_wait += wait
                elif retries >= self.max_retries:
                    raise
                else:
                    retries += 1
                log.info(
                    "enrichment.retried",
                    email=hash_email(email),
                    retries=retries,
                    pause=max(wait, backoff),
                    reason=failure.reason,
                )
            else:
                self.rate_limiter.successes += 1
                return enrichment
            if wait < backoff:  # else the rate limiter waits, for all workers
                await asyncio.sleep(backoff)

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

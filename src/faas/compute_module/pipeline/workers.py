"""The enrichment workers: a fixed number of tasks that enrich the pending addresses."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from faas.compute_module.errors import EnrichmentFailed, FailedFast
from faas.compute_module.pipeline.address_index import AddressIndex
from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.rate_limiter import RateLimiter
from faas.compute_module.pipeline.retry_policy import RetryPolicy
from faas.compute_module.pipeline.rows import EMPTY_EMAIL, Row, error_row, ok_row
from faas.compute_module.pipeline.run_progress import RunProgress
from faas.compute_module.redaction import hash_email, redact, shorten
from faas.compute_module.settings import RunSettings

log = structlog.get_logger()

_MAX_REASON_BYTES = 512  # in the error column


async def enrich_pending(
    addresses: AddressIndex,
    enricher: Enricher,
    settings: RunSettings,
    deliver: Callable[[Row], Awaitable[None]],
    progress: RunProgress,
) -> None:
    """Enrich every pending address once and pass its row to `deliver`, one at a time, in the order of completion.

    Raises FailedFast at the first address that fails when `settings.fail_fast` is set, and any error of `deliver`. The
    other workers are cancelled first.
    """
    progress.rows, progress.unique, progress.cached = addresses.rows, addresses.unique, addresses.cached
    progress.blanks = addresses.blanks
    if settings.fail_fast and addresses.blanks:
        raise FailedFast(EMPTY_EMAIL)
    policy = RetryPolicy(settings.max_retries, settings.request_timeout, RateLimiter(settings.rate_limit_rps))
    pending = addresses.pending()
    delivery = asyncio.Lock()

    async def work() -> None:
        for email in pending:  # all workers share one iterator: each address goes to the next free worker
            await asyncio.sleep(0)  # yields to signal handlers and the progress display when the enricher never waits
            row = await _enrich(policy, enricher, email, fail_fast=settings.fail_fast)
            async with delivery:
                await deliver(row)
            if row.is_ok:
                progress.ok += 1
            else:
                progress.failed += 1

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(min(settings.workers, progress.pending)):
                group.create_task(work(), name=f"enrich:{number}")
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _enrich(policy: RetryPolicy, enricher: Enricher, email: str, *, fail_fast: bool) -> Row:
    try:
        return ok_row(email, await policy.enrich(enricher, email), enricher.model)
    except EnrichmentFailed as failure:
        reason = shorten(redact(failure.reason), _MAX_REASON_BYTES)
        if fail_fast:
            raise FailedFast(reason) from None
        log.warning("enrichment.failed", email=hash_email(email), reason=reason)
        return error_row(email, reason, enricher.model)

"""The pool: a fixed number of workers enrich what is pending; results are handed on one at a time."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from faas.compute_module.errors import EnrichmentFailed, FailedFast
from faas.compute_module.pipeline.addresses import Addresses
from faas.compute_module.pipeline.attempts import Attempts
from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.rate import RateLimit
from faas.compute_module.pipeline.rows import EMPTY_EMAIL, Row, error_row, ok_row
from faas.compute_module.pipeline.tally import Tally
from faas.compute_module.redaction import hash_email, redact, shorten
from faas.compute_module.settings import RunSettings

log = structlog.get_logger()

_REASON_LIMIT = 512  # bytes of a reason in the error column


async def enrich_pending(
    addresses: Addresses,
    enricher: Enricher,
    settings: RunSettings,
    deliver: Callable[[Row], Awaitable[None]],
    tally: Tally,
) -> None:
    """Enrich every pending address once and `deliver` its row, in the order in which they finish.

    Raises FailedFast at the first address that fails when the settings say so, and whatever `deliver` raises; the
    other workers are stopped first.
    """
    tally.rows, tally.unique, tally.cached = addresses.rows, addresses.unique, addresses.cached
    tally.blanks = addresses.blanks
    if settings.fail_fast and addresses.blanks:
        raise FailedFast(EMPTY_EMAIL)
    attempts = Attempts(settings.max_retries, settings.request_timeout, RateLimit(settings.rate_limit_rps))
    pending = addresses.pending()
    turn = asyncio.Lock()

    async def worker() -> None:
        for email in pending:  # one iterator for all: each address goes to whichever worker is free
            await asyncio.sleep(0)  # an enricher that never waits must not keep signals and the progress waiting
            row = await _enrich(attempts, enricher, email, fail_fast=settings.fail_fast)
            async with turn:
                await deliver(row)
            if row.is_ok:
                tally.ok += 1
            else:
                tally.failed += 1

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(min(settings.workers, tally.pending)):
                group.create_task(worker(), name=f"enrich:{number}")
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _enrich(attempts: Attempts, enricher: Enricher, email: str, *, fail_fast: bool) -> Row:
    try:
        return ok_row(email, await attempts.enrich(enricher, email), enricher.model)
    except EnrichmentFailed as failure:
        reason = shorten(redact(failure.reason), _REASON_LIMIT)
        if fail_fast:
            raise FailedFast(reason) from None
        log.warning("enrichment.failed", email=hash_email(email), reason=reason)
        return error_row(email, reason, enricher.model)

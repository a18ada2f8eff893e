"""Retries, back-off, rate limit and time limit of one address, in virtual time."""

import asyncio
import random
from contextlib import suppress

import pytest

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.pipeline.rate_limiter import RateLimiter
from faas.compute_module.pipeline.retry_policy import RetryPolicy, backoff_seconds
from tests.helpers.compute_module import virtual_time


class Scripted:
    """Fails with the given failures (or is slow for that many seconds), then succeeds; records the times of its calls."""

    model = "scripted"

    def __init__(self, *failures: EnrichmentFailed | float) -> None:
        self.failures = list(failures)
        self.asked: list[float] = []

    async def enrich(self, email: str) -> Enrichment:
        self.asked.append(virtual_time.now())
        if self.failures:
            failure = self.failures.pop(0)
            if isinstance(failure, EnrichmentFailed):
                raise failure
            await asyncio.sleep(failure)
        return Enrichment(company="X")

    async def aclose(self) -> None:
        pass


def policy(max_retries: int = 3, request_timeout: float = 30, per_second: float = 0) -> RetryPolicy:
    return RetryPolicy(max_retries, request_timeout, RateLimiter(per_second))


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)


@pytest.mark.usefixtures("no_jitter")
def test_backoff_doubles_from_200_ms_to_two_seconds() -> None:
    enricher = Scripted(*[EnrichmentFailed("busy", "always")] * 6)
    virtual_time.run(policy(max_retries=6).enrich(enricher, "a@x.io"))
    pauses = [round(later - earlier, 6) for earlier, later in zip(enricher.asked, enricher.asked[1:], strict=False)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


@pytest.mark.parametrize(("attempt", "middle"), [(0, 0.2), (1, 0.4), (2, 0.8), (3, 1.6), (4, 2.0), (50, 2.0)])
def test_backoff_jitter_is_at_most_a_fifth(attempt: int, middle: float) -> None:
    pauses = [backoff_seconds(attempt) for _ in range(500)]
    assert middle * 0.8 <= min(pauses) < middle * 0.85
    assert middle * 1.15 < max(pauses) <= middle * 1.2


@pytest.mark.parametrize(
    ("retry", "max_retries", "asked"),
    [("always", 3, 4), ("always", 0, 1), ("once", 3, 2), ("once", 0, 1), ("never", 3, 1)],
)
def test_retry_policy_makes_one_attempt_and_the_allowed_retries(retry: str, max_retries: int, asked: int) -> None:
    enricher = Scripted(*[EnrichmentFailed("no", retry)] * 9)  # type: ignore[arg-type]
    with pytest.raises(EnrichmentFailed, match="no"):
        virtual_time.run(policy(max_retries).enrich(enricher, "a@x.io"))
    assert len(enricher.asked) == asked


@pytest.mark.parametrize(
    ("failures", "asked"),
    [
        (["always", "once"], 3),
        (["always", "once", "once"], 3),
        (["once", "always", "once"], 3),
        (["once", "always", "always"], 4),
    ],
)
def test_retry_policy_retries_a_once_failure_once_in_any_order(failures: list[str], asked: int) -> None:
    enricher = Scripted(*[EnrichmentFailed("no", retry) for retry in failures])  # type: ignore[arg-type]
    enricher.failures += [EnrichmentFailed("end", "never")] * (asked == len(failures))
    with suppress(EnrichmentFailed):
        virtual_time.run(policy().enrich(enricher, "a@x.io"))
    assert len(enricher.asked) == asked


def test_retry_policy_limits_the_time_of_each_attempt() -> None:
    enricher = Scripted(31, 31)
    assert virtual_time.run(policy().enrich(enricher, "a@x.io")).company == "X"
    assert len(enricher.asked) == 3


def test_retry_policy_timeout_names_the_limit() -> None:
    enricher = Scripted(5)
    with pytest.raises(EnrichmentFailed, match=r"no answer within 1\.5s"):
        virtual_time.run(policy(max_retries=0, request_timeout=1.5).enrich(enricher, "a@x.io"))


def test_retry_policy_honours_retry_after_up_to_a_minute() -> None:
    enricher = Scripted(EnrichmentFailed("busy", "always", retry_after=7), EnrichmentFailed("busy", "always", 9999))
    virtual_time.run(policy().enrich(enricher, "a@x.io"))
    assert [round(at) for at in enricher.asked] == [0, 7, 67]


def test_rate_limiter_is_shared_and_not_part_of_the_time_limit() -> None:
    enricher = Scripted()

    async def main() -> None:
        shared = policy(request_timeout=0.1, per_second=2)  # the last call waits twenty times its time limit
        await asyncio.gather(*[shared.enrich(enricher, "a@x.io") for _ in range(5)])

    virtual_time.run(main())
    assert enricher.asked == [0, 0.5, 1.0, 1.5, 2.0]


def test_rate_limiter_applies_to_retries() -> None:
    enricher = Scripted(EnrichmentFailed("busy", "always"))
    virtual_time.run(policy(per_second=0.1).enrich(enricher, "a@x.io"))
    assert enricher.asked == [0, 10]


def test_rate_limiter_without_a_limit_does_not_wait() -> None:
    enricher = Scripted()

    async def main() -> None:
        shared = policy()
        await asyncio.gather(*[shared.enrich(enricher, "a@x.io") for _ in range(50)])

    virtual_time.run(main())
    assert set(enricher.asked) == {0}

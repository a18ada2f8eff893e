"""Retries, back-off, rate limit and time limit of one address, in virtual time."""

import asyncio
import math
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


def busy(seconds: float) -> EnrichmentFailed:
    return EnrichmentFailed("busy", "always", retry_after=seconds)


def test_retry_policy_honours_retry_after_up_to_five_minutes() -> None:
    enricher = Scripted(busy(7), busy(300), busy(0.1))
    virtual_time.run(policy().enrich(enricher, "a@x.io"))
    assert [round(at) for at in enricher.asked] == [0, 7, 307, 308]


def test_retry_policy_wait_is_not_part_of_the_time_limit() -> None:
    enricher = Scripted(busy(200), 0.2)
    virtual_time.run(policy(request_timeout=1).enrich(enricher, "a@x.io"))
    assert enricher.asked == [0, 200]


@pytest.mark.parametrize("failure", [busy(301), EnrichmentFailed("busy", "never", retry_after=math.inf)])
def test_retry_policy_longer_wait_fails_without_further_requests_until_it_is_nearly_over(
    failure: EnrichmentFailed,
) -> None:
    enricher = Scripted(failure)

    async def main() -> None:
        shared = policy()
        for _ in range(3):
            with pytest.raises(EnrichmentFailed, match=r"^busy"):
                await shared.enrich(enricher, "a@x.io")
        assert enricher.asked == [0]
        await asyncio.sleep(2)
        with suppress(EnrichmentFailed):
            await shared.enrich(enricher, "a@x.io")

    virtual_time.run(main())
    assert enricher.asked == ([0, 301] if failure.retry == "always" else [0])


def test_retry_policy_waits_of_a_server_that_answers_nothing_else_count_as_retries() -> None:
    enricher = Scripted(*[busy(60)] * 9)
    with pytest.raises(EnrichmentFailed, match="busy"):
        virtual_time.run(policy().enrich(enricher, "a@x.io"))
    assert enricher.asked == [0, 60, 120, 180]


class OneRefused(Scripted):
    """Asks for a wait of a minute for every attempt of one address; the others succeed after 20 seconds."""

    async def enrich(self, email: str) -> Enrichment:
        if email == "refused":
            self.asked.append(virtual_time.now())
            await asyncio.sleep(1)
            raise busy(60)
        await asyncio.sleep(20)
        return Enrichment()


def test_retry_policy_waits_do_not_count_while_others_succeed_up_to_half_an_hour() -> None:
    enricher = OneRefused()

    async def main() -> None:
        shared = policy()

        async def others() -> None:
            while True:
                await shared.enrich(enricher, "other")

        task = asyncio.create_task(others())
        with pytest.raises(EnrichmentFailed, match="busy"):
            await shared.enrich(enricher, "refused")
        task.cancel()

    virtual_time.run(main())
    assert len(enricher.asked) == 1 + 30 + 3  # the waits that do not count, and `max_retries`


def test_retry_policy_without_retries_makes_one_attempt() -> None:
    enricher = Scripted(busy(4))
    with pytest.raises(EnrichmentFailed, match="busy"):
        virtual_time.run(policy(max_retries=0).enrich(enricher, "a@x.io"))
    assert enricher.asked == [0]


def test_rate_limiter_wait_of_the_server_holds_back_all_callers() -> None:
    enricher = Scripted(busy(6))

    async def main() -> None:
        shared = policy(per_second=2)
        await asyncio.gather(*[shared.enrich(enricher, "a@x.io") for _ in range(4)])

    virtual_time.run(main())
    assert enricher.asked == [0, 6, 6.5, 7, 7.5]


def test_rate_limiter_wait_of_the_server_is_never_shortened() -> None:
    async def main() -> list[float]:
        limiter = RateLimiter(0)
        limiter.hold(5, "busy")
        limiter.hold(1, "busy")
        waiting = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(2)
        limiter.hold(7, "busy")  # extends the wait of a caller that waits already
        await waiting
        return [virtual_time.now()]

    assert virtual_time.run(main()) == [9]


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

"""Retries, back-off, rate limit and time limit, in virtual time."""

import asyncio
import random
from contextlib import suppress

import pytest

from faas.compute_module.errors import EnrichmentFailed
from faas.compute_module.pipeline.attempts import Attempts, back_off
from faas.compute_module.pipeline.enrichers.enricher import Enrichment
from faas.compute_module.pipeline.rate import RateLimit
from tests.helpers.compute_module import virtual_time


class Scripted:
    """Fails as told, attempt after attempt, then succeeds; notes when it was asked."""

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


def attempts(max_retries: int = 3, request_timeout: float = 30, per_second: float = 0) -> Attempts:
    return Attempts(max_retries, request_timeout, RateLimit(per_second))


@pytest.fixture
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)


@pytest.mark.usefixtures("no_jitter")
def test_pauses_double_to_two_seconds_between_attempts() -> None:
    enricher = Scripted(*[EnrichmentFailed("busy", "always")] * 6)
    virtual_time.run(attempts(max_retries=6).enrich(enricher, "a@x.io"))
    pauses = [round(later - earlier, 6) for earlier, later in zip(enricher.asked, enricher.asked[1:], strict=False)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


@pytest.mark.parametrize(("attempt", "middle"), [(0, 0.2), (1, 0.4), (2, 0.8), (3, 1.6), (4, 2.0), (50, 2.0)])
def test_jitter_is_at_most_a_fifth(attempt: int, middle: float) -> None:
    pauses = [back_off(attempt) for _ in range(500)]
    assert middle * 0.8 <= min(pauses) < middle * 0.85
    assert middle * 1.15 < max(pauses) <= middle * 1.2


@pytest.mark.parametrize(
    ("retry", "max_retries", "asked"),
    [("always", 3, 4), ("always", 0, 1), ("once", 3, 2), ("once", 0, 1), ("never", 3, 1)],
)
def test_attempts_are_one_and_the_retries_allowed(retry: str, max_retries: int, asked: int) -> None:
    enricher = Scripted(*[EnrichmentFailed("no", retry)] * 9)  # type: ignore[arg-type]
    with pytest.raises(EnrichmentFailed, match="no"):
        virtual_time.run(attempts(max_retries).enrich(enricher, "a@x.io"))
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
def test_what_is_tried_again_once_is_so_after_other_failures_too(failures: list[str], asked: int) -> None:
    enricher = Scripted(*[EnrichmentFailed("no", retry) for retry in failures])  # type: ignore[arg-type]
    enricher.failures += [EnrichmentFailed("end", "never")] * (asked == len(failures))
    with suppress(EnrichmentFailed):
        virtual_time.run(attempts().enrich(enricher, "a@x.io"))
    assert len(enricher.asked) == asked


def test_each_attempt_has_its_own_time_limit() -> None:
    enricher = Scripted(31, 31)
    assert virtual_time.run(attempts().enrich(enricher, "a@x.io")).company == "X"
    assert len(enricher.asked) == 3


def test_a_time_out_names_the_limit() -> None:
    enricher = Scripted(5)
    with pytest.raises(EnrichmentFailed, match=r"no answer within 1\.5s"):
        virtual_time.run(attempts(max_retries=0, request_timeout=1.5).enrich(enricher, "a@x.io"))


def test_what_the_other_side_asks_for_is_waited_but_not_for_ever() -> None:
    enricher = Scripted(EnrichmentFailed("busy", "always", retry_after=7), EnrichmentFailed("busy", "always", 9999))
    virtual_time.run(attempts().enrich(enricher, "a@x.io"))
    assert [round(at) for at in enricher.asked] == [0, 7, 67]


def test_the_rate_limit_is_one_bucket_for_all_and_no_part_of_the_time_limit() -> None:
    enricher = Scripted()

    async def main() -> None:
        shared = attempts(request_timeout=0.1, per_second=2)  # the last waits twenty times its time limit
        await asyncio.gather(*[shared.enrich(enricher, "a@x.io") for _ in range(5)])

    virtual_time.run(main())
    assert enricher.asked == [0, 0.5, 1.0, 1.5, 2.0]


def test_retries_take_a_turn_of_the_rate_limit_too() -> None:
    enricher = Scripted(EnrichmentFailed("busy", "always"))
    virtual_time.run(attempts(per_second=0.1).enrich(enricher, "a@x.io"))
    assert enricher.asked == [0, 10]


def test_without_a_limit_nothing_waits() -> None:
    enricher = Scripted()

    async def main() -> None:
        shared = attempts()
        await asyncio.gather(*[shared.enrich(enricher, "a@x.io") for _ in range(50)])

    virtual_time.run(main())
    assert set(enricher.asked) == {0}

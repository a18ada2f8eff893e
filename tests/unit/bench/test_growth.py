"""Tests of the rounds of `growth`: those in which guests ran differently on the two servers are repeated."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.figures.growth import Measure, Rounds, Timed, measure_rounds
from bench.plan import Plan

INLINE, THREADED = False, True


def rounds_of(ways: list[tuple[bool, bool]], rounds: int = 2) -> tuple[Rounds, list[str]]:
    """Measure rounds in which guests run as `ways` says, on the small and on the large server. The latency counts."""
    order: list[str] = []
    left = iter(ways)

    @contextmanager
    def warm_servers() -> Iterator[Mapping[str, Measure]]:
        small, large = next(left)

        def timed(name: str, threaded: bool) -> Timed:
            order.append(name)
            return Timed(100 + len(order), threaded)

        yield {
            "small execute": lambda: timed("small", small),
            "large execute": lambda: timed("large", large),
        }

    nowhere = Path("/nonexistent")
    plan = Plan(rounds=rounds, seconds=1, scale=1, folder=nowhere, template=nowhere, progress=lambda _: None)
    measured = measure_rounds(plan, ["execute"], warm_servers)
    assert list(left) == []
    return measured, order


@pytest.mark.parametrize("way", [INLINE, THREADED])
def test_measure_rounds_alternates(way: bool) -> None:
    measured, order = rounds_of([(way, way)] * 3, rounds=3)
    assert order == ["small", "large", "large", "small", "small", "large"]
    assert measured == Rounds({"small execute": [101, 104, 105], "large execute": [102, 103, 106]}, mixed=0)
    assert not measured.figure("execute", "with many", "with few").noisy


def test_measure_rounds_repeats_a_mixed_round() -> None:
    measured, order = rounds_of([(INLINE, THREADED), (INLINE, INLINE), (THREADED, INLINE), (INLINE, INLINE)])
    assert order == ["small", "large"] * 2 + ["large", "small"] * 2
    assert measured == Rounds({"small execute": [103, 108], "large execute": [104, 107]}, mixed=0)


def test_measure_rounds_takes_mixed_rounds_after_as_many_repetitions_and_is_noisy() -> None:
    measured, _ = rounds_of([(INLINE, THREADED)] * 4)
    assert measured.mixed == 2
    assert measured.figure("execute", "with many", "with few").noisy

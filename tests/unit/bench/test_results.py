"""Tests of what a run of the benchmark records of each point."""

import io
from collections.abc import Callable, Sequence

import pytest
from rich.console import Console

from bench.failure import BenchmarkFailed
from bench.results import Results
from bench.stats import Figure, below, figure

FIGURE = figure("x", "ms", below(1), [0.5])


def measured(*points: tuple[str, Callable[[], Sequence[Figure]]]) -> tuple[Results, str]:
    results, errors = Results(), Console(file=io.StringIO(), width=120)
    for name, point in points:
        results.measure(name, point, errors)
    assert isinstance(errors.file, io.StringIO)
    return results, errors.file.getvalue()


def failing() -> Sequence[Figure]:
    raise BenchmarkFailed("wrk is missing")


def test_measure_goes_on_after_a_point_that_failed() -> None:
    results, shown = measured(("call", failing), ("bursts", lambda: [FIGURE]))
    assert results.failures == {"call": "wrk is missing"}
    assert results.figures == {"bursts": [FIGURE]}
    assert "not measured: wrk is missing" in shown


def test_measure_records_the_duration_and_the_host_of_every_point() -> None:
    results, _ = measured(("call", failing), ("bursts", lambda: [FIGURE]))
    assert list(results.seconds) == list(results.busy) == ["call", "bursts"]
    assert all(0 <= share <= 1 for share in results.busy.values())


def test_measure_raises_what_is_a_defect_of_the_benchmark() -> None:
    with pytest.raises(ZeroDivisionError):
        measured(("call", lambda: [figure("x", "ms", below(1 / 0), [1])]))

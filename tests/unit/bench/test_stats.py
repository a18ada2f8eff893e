"""Tests of the statistics: how rounds become figures."""

import pytest

from bench.stats import at_least, at_most, below, figure, in_turns, percentile, spread, within


def test_figure_ratio_is_the_median_of_the_ratios_of_rounds() -> None:
    found = figure("x", "/s", at_least(0.6), [10, 60, 30], ("them", [20, 40, 100]))
    assert (found.ours, found.reference, found.against) == (30, 40, "them")
    assert (found.least, found.compared, found.most) == (0.3, 0.5, 1.5)
    assert not found.met


def test_figure_targets_on_differences_and_values() -> None:
    assert figure("x", "ms", within(1.0), [3, 4], ("them", [2, 3])).met
    assert not figure("x", "ms", within(1.0), [3, 5], ("them", [2, 3])).met
    assert figure("x", "MiB", below(150), [149.0]).met
    assert figure("x", "MiB", below(150), [149.0]).reference is None
    assert not figure("x", "MiB", below(150), [151.0]).met


def test_target_is_met_by_its_bound() -> None:
    assert at_least(0.6).met_by(0.6)
    assert at_most(3).met_by(3)
    assert not at_least(0.6).met_by(0.59)
    assert not at_most(3).met_by(3.01)


def test_figure_ratio_needs_a_reference_for_every_round() -> None:
    with pytest.raises(ValueError, match="shorter"):
        figure("x", "ms", at_most(2), [1, 2], ("them", [1]))


def test_in_turns_reverses_every_other_round() -> None:
    order: list[str] = []

    def measure(name: str) -> int:
        order.append(name)
        return len(order)

    results = in_turns(3, {"a": lambda: measure("a"), "b": lambda: measure("b")})
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert results == {"a": [1, 4, 5], "b": [2, 3, 6]}


def test_in_turns_prepares_each_round() -> None:
    order: list[str] = []
    measures = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    in_turns(2, measures, before=lambda: order.append("-"))
    assert order == ["-", "a", "b", "-", "b", "a"]


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (0.991, 100), (1, 100), (0, 1)])
def test_percentile_is_one_of_the_values(share: float, expected: int) -> None:
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_spread_ignores_one_outlier_of_five() -> None:
    assert spread([10, 11, 10, 90, 12]) == 1.2
    assert spread([5.0]) == 1
    assert spread([]) == 1


@pytest.mark.parametrize(
    ("ours", "reference", "noisy"),
    [
        ([10, 11, 10, 11, 10], [10, 10, 10, 10, 10], False),
        ([10, 30, 10, 30, 10], [10, 10, 10, 10, 10], False),  # the reference is steady: ours varies by itself
        ([10, 20, 30, 40, 50], [10, 20, 30, 40, 50], False),  # a noisy host, and all rounds meet the target
        ([30, 60, 90, 120, 150], [10, 20, 30, 40, 50], False),  # the same, and none does
        ([10, 60, 30, 120, 50], [10, 20, 30, 40, 50], True),
    ],
)
def test_figure_is_noisy_when_the_reference_is_and_the_rounds_disagree(
    ours: list[float], reference: list[float], noisy: bool
) -> None:
    assert figure("x", "ms", at_most(2), ours, ("them", reference)).noisy is noisy


@pytest.mark.parametrize(
    ("ours", "host", "noisy"),
    [
        ([90, 91, 92], [10, 10, 10], False),
        ([90, 99, 120], [10, 10, 10], False),
        ([90, 91, 92], [10, 20, 30], False),
        ([90, 99, 120], [10, 20, 30], True),
        ([90], [10, 20, 30], True),  # there are no other rounds that could agree
        ([90], [10], False),
        ([90], [], False),
    ],
)
def test_figure_without_a_reference_is_noisy_when_the_host_is_and_the_rounds_disagree(
    ours: list[float], host: list[float], noisy: bool
) -> None:
    assert figure("x", "ms", below(100), ours, host=host).noisy is noisy


def test_figure_takes_the_spread_of_the_host_instead_of_the_reference() -> None:
    found = figure("x", "/s", at_least(1), [10], ("them", [9]), host=[10, 20, 30])
    assert found.spread == 25 / 15
    assert found.noisy


def test_figure_is_noisy_when_its_measurement_says_so() -> None:
    assert figure("x", "ms", at_most(2), [1, 1], ("them", [1, 1]), noisy=True).noisy

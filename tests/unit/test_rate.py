"""The rate: bursts, recovery, and what is left."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faas.rate import Rate


def test_rate_admits_a_burst_of_a_second_and_then_one_at_a_time() -> None:
    rate = Rate(10)
    assert [rate.take(100.0) for _ in range(10)] == [0.0] * 10
    assert rate.take(100.0) == pytest.approx(0.1)
    assert rate.take(100.1) == 0.0
    assert rate.take(100.1) == pytest.approx(0.1)


def test_rate_below_one_a_second_admits_one() -> None:
    rate = Rate(0.1)
    assert (rate.burst, rate.take(5.0), math.ceil(rate.take(5.0))) == (1, 0.0, 10)
    assert rate.take(15.0) == 0.0


def test_rate_remaining_counts_down_and_recovers() -> None:
    rate = Rate(3)
    left = []
    for _ in range(4):
        left.append(rate.remaining(7.0))
        rate.take(7.0)
    assert left == [3, 2, 1, 0]
    assert rate.remaining(8.0) == 3


@given(st.floats(0.01, 1000), st.lists(st.floats(0, 0.5), max_size=200))
def test_rate_never_admits_more_than_a_burst_above_the_rate(per_second: float, pauses: list[float]) -> None:
    rate, now, admitted = Rate(per_second), 1000.0, 0
    for pause in pauses:
        now += pause
        admitted += rate.take(now) == 0.0
    assert admitted <= max(1.0, per_second) + (now - 1000.0) * per_second + 1e-6

"""Partitions as ranges of ids: their widths, which lack, which are expired, and how statements are divided."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from faas.retention.partitions import (
    GREATEST_ID,
    LEAST_ID,
    IdRange,
    Partition,
    expired_partitions,
    first_id,
    from_next_hour,
    id_ranges,
    missing_partitions,
    time_of,
    width_for,
)

NOW = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = Partition("executions_first", None, first_id(NOW + HOUR / 2))


def test_first_id_is_the_least_of_its_millisecond() -> None:
    before = datetime.now(UTC)
    made = uuid7()
    assert first_id(before) <= made < first_id(datetime.now(UTC) + timedelta(milliseconds=1))
    assert time_of(first_id(NOW)) == NOW


@pytest.mark.parametrize(
    ("keep", "width"),
    [
        (timedelta(hours=12), HOUR),
        (timedelta(days=4), HOUR),
        (timedelta(days=5), 6 * HOUR),
        (timedelta(days=90), DAY),
        (timedelta(days=365), 7 * DAY),
        (timedelta(days=36500), 28 * DAY),
        (None, 28 * DAY),
    ],
)
def test_width_for_gives_at_most_a_hundred_partitions(keep: timedelta | None, width: timedelta) -> None:
    assert width_for(keep) == width


def test_missing_partitions_begin_where_the_first_one_ends() -> None:
    names = [partition.name for partition in missing_partitions([FIRST], NOW, DAY)]
    assert names == ["executions_2026112611", "executions_2026112700", "executions_2026112800"]


def test_missing_partitions_is_empty_once_they_exist() -> None:
    existing = [FIRST, *missing_partitions([FIRST], NOW, DAY)]
    assert missing_partitions(existing, NOW, DAY) == []
    assert [partition.name for partition in missing_partitions(existing, NOW + DAY, DAY)] == ["executions_2026112900"]


def test_missing_partitions_fill_a_gap_before_those_of_a_clock_that_was_ahead() -> None:
    ahead = missing_partitions([FIRST], NOW + timedelta(days=1.5), DAY)
    filled = missing_partitions([FIRST, *ahead], NOW, DAY)
    assert filled[0].lower == FIRST.upper
    assert filled[-1].upper == ahead[0].lower


@given(
    keeps=st.lists(st.sampled_from([None, *(timedelta(hours=hours) for hours in (1, 200, 2160, 9000))]), max_size=6),
    steps=st.lists(st.integers(-100, 2000), min_size=6, max_size=6),
)
def test_missing_partitions_cover_now_without_overlaps_whatever_was_kept_before(
    keeps: list[timedelta | None], steps: list[int]
) -> None:
    existing, now = [FIRST], NOW
    for keep, step in zip(keeps, steps, strict=False):
        now += step * HOUR
        existing += missing_partitions(existing, now, width_for(keep))
        existing.sort(key=lambda partition: partition.upper)
        assert all(left.upper <= right.ids.lower for left, right in pairwise(existing))
        for at in (now, now + 2 * HOUR):
            covering = [each for each in existing if each.ids.lower <= first_id(at) < each.upper]
            assert len(covering) == 1, at
        assert len({partition.name for partition in existing}) == len(existing)


def test_expired_partitions_are_those_without_a_younger_id() -> None:
    existing = [FIRST, *missing_partitions([FIRST], NOW, DAY)]
    assert expired_partitions(existing, NOW) == []
    assert expired_partitions(existing, time_of(existing[1].upper)) == existing[:2]


def test_id_ranges_are_in_one_partition_each_and_cover_all_ids() -> None:
    early = Partition("a", first_id(NOW - 9 * DAY), first_id(NOW - 8 * DAY))
    late = Partition("b", first_id(NOW - 2 * DAY), first_id(NOW - DAY))
    ranges = id_ranges([early, late])
    assert (ranges[0].lower, ranges[-1].upper) == (LEAST_ID, GREATEST_ID)
    assert all(left.upper == right.lower for left, right in pairwise(ranges))
    assert {IdRange(UUID(int=early.ids.lower.int), early.upper), IdRange(late.ids.lower, late.upper)} < set(ranges)
    assert id_ranges([early, late], first_id(NOW - 2 * DAY), first_id(NOW - 1.5 * DAY)) == [
        IdRange(first_id(NOW - 2 * DAY), first_id(NOW - 1.5 * DAY))
    ]


def test_from_next_hour_is_the_rest_of_a_partition() -> None:
    day = Partition(
        "executions_2026112600",
        first_id(NOW.replace(hour=0, minute=0)),
        first_id(NOW.replace(day=27, hour=0, minute=0)),
    )
    at_11 = first_id(NOW.replace(hour=11, minute=0))
    assert from_next_hour(day, NOW) == Partition("executions_2026112611", at_11, day.upper)
    assert from_next_hour(day, NOW - 2 * DAY) == day
    assert from_next_hour(day, NOW.replace(hour=23)) is None

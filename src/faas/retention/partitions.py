"""The partitions of `executions`: ranges of UUIDv7 ids, which are ranges of time.

Everything here is computed from ids and times, without a database.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import msgspec

LEAST_ID, GREATEST_ID = UUID(int=0), UUID(int=(1 << 128) - 1)
# Each is a multiple of the one before, so partitions of different widths have common bounds.
_WIDTHS = (timedelta(hours=1), timedelta(hours=6), timedelta(days=1), timedelta(days=7), timedelta(days=28))
_MOST_PARTITIONS = 100  # within the time for which executions are kept
_LEAST_AHEAD = timedelta(hours=3)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class IdRange(msgspec.Struct, frozen=True):
    """The ids from `lower` to before `upper`."""

    lower: UUID
    upper: UUID


class Partition(msgspec.Struct, frozen=True):
    """A partition by time. `lower` is None for the first one, which has no lower bound."""

    name: str
    lower: UUID | None
    upper: UUID

    @property
    def ids(self) -> IdRange:
        """The ids that belong to the partition."""
        return IdRange(self.lower or LEAST_ID, self.upper)


def first_id(at: datetime) -> UUID:
    """Return the least id of the millisecond of `at`."""
    return UUID(int=max(0, (at - _EPOCH) // timedelta(milliseconds=1)) << 80)


def time_of(execution_id: UUID) -> datetime:
    """Return the time in a UUIDv7. Raises OverflowError for an id that is none."""
    return _EPOCH + timedelta(milliseconds=execution_id.int >> 80)


def width_for(keep: timedelta | None) -> timedelta:
    """Return the width of new partitions. Rows are kept up to this much longer than `keep` (None: without limit)."""
    if keep is None:
        return _WIDTHS[-1]
    return next((width for width in _WIDTHS if keep <= width * _MOST_PARTITIONS), _WIDTHS[-1])


def missing_partitions(existing: Sequence[Partition], now: datetime, width: timedelta) -> list[Partition]:
    """Return the partitions that lack from now to two widths ahead, at least to three hours ahead."""
    end = now + max(2 * width, _LEAST_AHEAD)
    at = _EPOCH + (now - _EPOCH) // width * width
    missing = []
    while at < end:
        lower = first_id(at)
        covering = next((found for found in existing if found.ids.lower <= lower < found.upper), None)
        if covering is not None:
            at = time_of(covering.upper)
            continue
        upper = first_id(_EPOCH + ((at - _EPOCH) // width + 1) * width)
        upper = min([upper, *(found.ids.lower for found in existing if found.ids.lower > lower)])
        missing.append(_partition(at, upper))
        at = time_of(upper)
    return missing


def from_next_hour(partition: Partition, after: datetime) -> Partition | None:
    """Return the part of `partition` from the first full hour after `after` on; None when there is none."""
    hour = _EPOCH + ((after - _EPOCH) // _WIDTHS[0] + 1) * _WIDTHS[0]
    if first_id(hour) <= partition.ids.lower:
        return partition
    return _partition(hour, partition.upper) if first_id(hour) < partition.upper else None


def _partition(at: datetime, upper: UUID) -> Partition:
    return Partition(f"executions_{at:%Y%m%d%H}", first_id(at), upper)


def expired_partitions(existing: Iterable[Partition], horizon: datetime) -> list[Partition]:
    """Return the partitions all of whose ids are older than `horizon`."""
    before = first_id(horizon)
    return [partition for partition in existing if partition.upper <= before]


def id_ranges(existing: Sequence[Partition], lower: UUID = LEAST_ID, upper: UUID = GREATEST_ID) -> list[IdRange]:
    """Divide the ids from `lower` to `upper` so that each range is in one partition, be it the default one.

    A statement on one of them is planned for one partition, however many there are.
    """
    bounds = sorted({bound for each in existing for bound in (each.ids.lower, each.upper)} | {lower, upper})
    inner = [bound for bound in bounds if lower <= bound <= upper]
    return [IdRange(*pair) for pair in pairwise(inner)]

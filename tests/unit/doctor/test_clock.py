"""The clock's check, with clocks that the tests set."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from faas.doctor.clock import EARLIEST_YEAR, LATEST_YEAR, check_clock

JUNE = datetime(2026, 6, 1, tzinfo=UTC).timestamp()


def clock(*readings: float) -> Callable[[], float]:
    values: Iterator[float] = iter(readings)
    return lambda: next(values)


def check(began: float, wall: float = 0.2, monotonic: float = 0.2) -> tuple[str, str]:
    found = check_clock(clock(began, began + wall), clock(5.0, 5.0 + monotonic), lambda _: None)
    assert bool(found.action) == (found.status != "OK")
    return found.status, found.finding


def test_clock_that_runs_is_ok() -> None:
    assert check(JUNE) == ("OK", "2026-06-01 00:00:00 UTC")


def test_clock_that_was_never_set_fails() -> None:
    status, text = check(0.0)
    assert status == "FAIL"
    assert "1970-01-01" in text


def test_clock_year_bounds() -> None:
    for year, status in (
        (EARLIEST_YEAR - 1, "FAIL"),
        (EARLIEST_YEAR, "OK"),
        (LATEST_YEAR, "OK"),
        (LATEST_YEAR + 1, "FAIL"),
    ):
        assert check(datetime(year, 7, 1, tzinfo=UTC).timestamp())[0] == status, year


def test_clock_beyond_the_calendar_fails() -> None:
    assert check(1e18)[0] == "FAIL"


def test_clock_that_is_stepped_warns() -> None:
    assert check(JUNE, wall=3600.2) == ("WARN", "2026-06-01 00:00:00 UTC; it moved +3600.2 s in 0.2 s")
    assert check(JUNE, wall=-5.0)[0] == "WARN"


def test_monotonic_clock_that_does_not_advance_fails() -> None:
    assert check(JUNE, monotonic=0.0)[0] == "FAIL"


def test_clock_of_this_machine_is_ok() -> None:
    assert check_clock().status == "OK"

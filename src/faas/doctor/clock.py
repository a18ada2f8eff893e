"""Check of this machine's clock. The database's is compared with it where the database is checked."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from faas.doctor.finding import Finding, fail, ok, warn
from faas.settings import Settings

EARLIEST_YEAR, LATEST_YEAR = 2026, 2099  # faas is not older; a clock that was never set says 1970 or 2000
STEP_SECONDS = 0.5  # what the clock of the day may run apart from the monotonic one during the pause
_PAUSE_SECONDS = 0.2


def check(_settings: Settings) -> Iterator[Finding]:
    """Check the clock of the day against the calendar, and against the monotonic clock."""
    yield check_clock()


def check_clock(
    wall: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Finding:
    """Read both clocks twice, with a pause between."""
    began, began_monotonic = wall(), monotonic()
    pause(_PAUSE_SECONDS)
    passed, passed_monotonic = wall() - began, monotonic() - began_monotonic
    try:
        now = datetime.fromtimestamp(began, UTC)
        shown, year = f"{now:%Y-%m-%d %H:%M:%S} UTC", now.year
    except (ValueError, OverflowError, OSError):
        shown, year = f"{began:.0f} s since 1970", 0
    if not EARLIEST_YEAR <= year <= LATEST_YEAR:
        found = f"{shown} cannot be right; ids and times of executions come from it"
        return fail("clock", found, "set the clock: `timedatectl set-ntp true`, or `date --set`")
    if passed_monotonic <= 0:
        return fail("clock", "the monotonic clock does not advance", "restart the machine: timeouts need this clock")
    if abs(passed - passed_monotonic) > STEP_SECONDS:
        found = f"{shown}; it moved {passed:+.1f} s in {passed_monotonic:.1f} s"
        return warn("clock", found, "see what sets the clock (NTP, a hypervisor), and that only one does")
    return ok("clock", shown)

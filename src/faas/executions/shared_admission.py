"""Admission in a server of several processes: the limits of a function hold for all of them together."""

import math
import time
from collections.abc import Callable

from faas.errors import FunctionLimitReached
from faas.executions.admission import CONCURRENCY_RETRY_AFTER_SECONDS, Admission, KnownLimits, Usage
from faas.function_ref import FunctionRef
from faas.function_settings import FunctionLimits
from faas.rate import Rate
from faas.shared_limits import UsageEntry, UsageTable


class SharedAdmission(Admission):
    """Admission that counts in `table` the executions of functions with limits. Use from one event loop.

    An execution is counted there from the first one on that this process starts with a limit known, and those of
    before with it. `clock` is one that all processes have in common.
    """

    def __init__(self, table: UsageTable, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._table = table

    def enter(self, function_ref: FunctionRef, known: KnownLimits) -> None:
        """Count an execution of the function, which `leave` must end. Raises FunctionLimitReached."""
        try:
            super().enter(function_ref, known)
        except FunctionLimitReached:
            if not self._usage[known.function_id].in_flight:  # the executions are in other processes
                del self._usage[known.function_id]
            raise
        usage = self._usage[known.function_id]
        if usage.entry is not None:
            self._table.set_own(usage.entry, usage.in_flight)

    def leave(self, known: KnownLimits) -> None:
        """End the execution that `enter` counted."""
        usage = self._usage[known.function_id]
        super().leave(known)
        if usage.entry is not None:
            self._table.set_own(usage.entry, usage.in_flight)

    def _count_start(self, known: KnownLimits, _usage: Usage, per_second: float) -> None:
        now = self._clock()
        with self._table.entry(known.function_id.bytes, now) as entry:
            rate = Rate(per_second, entry.time)
            rate.count(now)
            entry.time = rate.recovered_at

    def _check(self, function_ref: FunctionRef, known: KnownLimits, usage: Usage, limits: FunctionLimits) -> None:
        if limits.concurrency is None and limits.per_second is None:
            return
        now = self._clock()
        with self._table.entry(known.function_id.bytes, now) as entry:
            if entry.index is None:
                reason = "has limits, and too many functions with limits are running to count its executions"
                raise FunctionLimitReached(str(function_ref), reason, CONCURRENCY_RETRY_AFTER_SECONDS)
            self._check_concurrency(function_ref, usage.in_flight + entry.count_of_others, limits)
            self._check_rate(function_ref, entry, limits, now)
            # Here and not later: another process that takes the lock next is to see it.
            entry.set_own(usage.in_flight + 1)
            usage.entry = entry.index

    def _check_rate(self, function_ref: FunctionRef, entry: UsageEntry, limits: FunctionLimits, now: float) -> None:
        if limits.per_second is None:
            return
        rate = Rate(limits.per_second, entry.time)
        wait = rate.take(now)
        entry.time = rate.recovered_at
        if wait:
            raise self._too_often(function_ref, limits.per_second, math.ceil(wait))

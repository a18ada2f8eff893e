"""Admission: the limits of a function on its executions, `concurrency` and `perSecond`, checked before a start.

The limits belong to a revision, which is known only when the start is recorded. So they are those of the revision that
the reference ran last, as this process has seen; the first call of a reference looks them up. Each process counts its
own executions; SharedAdmission counts those of all workers of a server.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

import msgspec

from faas.errors import FunctionLimitReached
from faas.function_ref import FunctionRef
from faas.function_settings import NO_LIMITS, FunctionLimits
from faas.rate import Rate

CONCURRENCY_RETRY_AFTER_SECONDS = 1
_DOUBT_SECONDS = 0.1
_MAX_KNOWN = 20_000  # references; the least recently used ones are looked up again


class KnownLimits(msgspec.Struct, frozen=True):
    """What a reference ran last. `public` says that anyone may call it as an HTTP endpoint."""

    function_id: UUID
    limits: FunctionLimits
    public: bool = False


class _Memory(msgspec.Struct):
    """What is known of a reference, and when this process may look it up again to see whether a refusal is right."""

    known: KnownLimits
    doubted_at: float = -math.inf


class Usage(msgspec.Struct):
    """The executions of a function at once, and the time at which its rate has recovered from those before.

    `entry` is where the workers of a server count them together, if they do.
    """

    in_flight: int = 0
    recovered_at: float = 0.0
    entry: int | None = None


class Admission:
    """Counts the executions of each function in this process. `clock` returns seconds. Use from one event loop.

    The rate is that of `faas.rate`, with a burst of one second's worth.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[FunctionRef, _Memory] = OrderedDict()
        self._usage: dict[UUID, Usage] = {}

    def get_known(self, function_ref: FunctionRef) -> KnownLimits | None:
        """Return what the reference ran last, as far as this process remembers."""
        memory = self._known.get(function_ref)
        if memory is None:
            return None
        self._known.move_to_end(function_ref)
        return memory.known

    def may_be_outdated(self, function_ref: FunctionRef) -> bool:
        """Return whether to look up the limits by which an execution was refused, at most ten times a second.

        A refused execution does not start, so nothing else would tell that a deploy has raised the limit.
        """
        memory, now = self._known.get(function_ref), self._clock()
        if memory is None or now - memory.doubted_at < _DOUBT_SECONDS:
            return False
        memory.doubted_at = now
        return True

    def learn(self, function_ref: FunctionRef, known: KnownLimits) -> None:
        """Remember what the reference runs."""
        memory = self._known.get(function_ref)
        if memory is not None:
            memory.known = known
            return
        self._known[function_ref] = _Memory(known)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)

    def enter(self, function_ref: FunctionRef, known: KnownLimits) -> None:
        """Count an execution of the function, which `leave` must end. Raises FunctionLimitReached."""
        usage = self._usage.get(known.function_id)
        if usage is None:
            usage = self._usage[known.function_id] = Usage()
        if known.limits is not NO_LIMITS:
            self._check(function_ref, known, usage, known.limits)
        usage.in_flight += 1

    def leave(self, known: KnownLimits) -> None:
        """End the execution that `enter` counted."""
        usage = self._usage[known.function_id]
        usage.in_flight -= 1
        if not usage.in_flight and usage.recovered_at <= self._clock():
            del self._usage[known.function_id]

    def correct(self, function_ref: FunctionRef, entered: KnownLimits, ran: KnownLimits) -> None:
        """Remember that the reference ran another revision, or function, than `enter` knew of.

        The start counts for the rate of that revision, whose limits it was too late to check.
        """
        self.learn(function_ref, ran)
        usage = self._usage[entered.function_id]
        if ran.limits.per_second is not None and ran.function_id == entered.function_id:
            self._count_start(ran, usage, ran.limits.per_second)

    def forget(self, function_ref: FunctionRef) -> None:
        """Forget a reference that named nothing at the last start."""
        self._known.pop(function_ref, None)

    @property
    def functions_in_use(self) -> int:
        """The number of functions of which executions are counted."""
        return len(self._usage)

    def _count_start(self, _known: KnownLimits, usage: Usage, per_second: float) -> None:
        """Count a start, whether or not the rate admits it."""
        rate = Rate(per_second, usage.recovered_at)
        rate.count(self._clock())
        usage.recovered_at = rate.recovered_at

    def _check(self, function_ref: FunctionRef, _known: KnownLimits, usage: Usage, limits: FunctionLimits) -> None:
        """Raise FunctionLimitReached, or take one start from the rate."""
        self._check_concurrency(function_ref, usage.in_flight, limits)
        if limits.per_second is not None:
            rate = Rate(limits.per_second, usage.recovered_at)
            wait = rate.take(self._clock())
            usage.recovered_at = rate.recovered_at
            if wait:
                raise self._too_often(function_ref, limits.per_second, math.ceil(wait))

    @staticmethod
    def _check_concurrency(function_ref: FunctionRef, in_flight: int, limits: FunctionLimits) -> None:
        if limits.concurrency is not None and in_flight >= limits.concurrency:
            reason = f"has {in_flight} executions in flight; its settings allow {limits.concurrency} at once"
            raise FunctionLimitReached(str(function_ref), reason, CONCURRENCY_RETRY_AFTER_SECONDS)

    @staticmethod
    def _too_often(function_ref: FunctionRef, per_second: float, retry_after: int) -> FunctionLimitReached:
        reason = f"is called more often than {per_second:g} times per second, which its settings allow"
        return FunctionLimitReached(str(function_ref), reason, retry_after)

"""The choice between inline and threaded execution, for each module by the durations of its past executions.

An inline guest runs on the event loop, because passing 50 µs of work to a thread and back costs more than the work. It
has one tick of the epoch as its deadline, so a slow guest delays the event loop by at most a tick. It is then executed
again from the start in a guest thread, with the whole time limit: that is safe because a guest has no effects outside
its instance. Modules that are not known to be quick run in a thread at once. A new revision of a function is expected
to be as quick as the module that the function ran before.
"""

import resource
from typing import TypeAlias
from uuid import UUID

import msgspec

from faas.runtime.outcome import Outcome

INLINE_TICKS = 1
MAX_FOLLOWED_FUNCTIONS = 4096
MAX_INLINE_BYTES = 64 << 10  # of input, or of output: copying and checking more than this takes long by itself
_INLINE_ATTEMPTS = 2
_MAIN_THREAD_STACK_BYTES = 1 << 20  # that the event loop needs beside the guest's stack

_QUICK_SECONDS = 0.0005  # of processor time
_INITIAL_STREAK = 3  # quick executions in a row before the first inline one
_MAX_STREAK = 1024
_FORGIVING_STREAK = 16  # after as many quick executions in a row, a slow one does not count
_UNFORGIVEN_SECONDS = 0.02  # unless it took as long as this


class TryInlineAgain(msgspec.Struct, frozen=True):
    """A tick interrupted the attempt early: it ran for less than one tick."""


class RunInThread(msgspec.Struct, frozen=True):
    """The inline attempt was abandoned: the guest is too slow for the event loop, sleeps, or has a large output."""


InlineResult: TypeAlias = Outcome | TryInlineAgain | RunInThread

_TRY_INLINE_AGAIN = TryInlineAgain()
_RUN_IN_THREAD = RunInThread()


class InlinePolicy:
    """Decides for one module whether its next guest runs inline. `runs_inline` is the decision.

    A few quick executions in a row make the module run inline. A slow one ends that, and doubles the number needed the
    next time, unless many quick ones preceded it: a machine that stops for a moment must not count against the module.
    `allowed` is False for modules that may block. `initial_streak` is how many quick executions come before the first
    inline one. Safe to use from several threads: a lost update costs only a decision that is a little late.
    """

    __slots__ = ("_allowed", "_needed_streak", "_quick_streak", "_untried", "runs_inline")

    def __init__(self, *, allowed: bool = True, initial_streak: int = _INITIAL_STREAK) -> None:
        self.runs_inline = False
        self._untried = True
        self._allowed = allowed
        self._quick_streak = 0
        self._needed_streak = initial_streak

    def continue_from(self, previous: "InlinePolicy") -> None:
        """Take over the record of `previous`, the policy of another revision, if that runs inline and this is new."""
        if self._untried and self._allowed and previous.runs_inline:
            self._quick_streak = previous._quick_streak
            self._needed_streak = previous._needed_streak
            self.runs_inline = True

    def record_duration(self, seconds: float) -> None:
        """Record that an execution took `seconds` of processor time."""
        self._untried = False
        if seconds < _QUICK_SECONDS:
            self._quick_streak += 1
            self.runs_inline = self.runs_inline or (self._allowed and self._quick_streak >= self._needed_streak)
        elif self._quick_streak >= _FORGIVING_STREAK and seconds < _UNFORGIVEN_SECONDS:
            self._quick_streak = 0
        else:
            self._record_slow()

    def record_interrupted(self, seconds: float) -> TryInlineAgain | RunInThread:
        """Record that a tick ended an inline attempt after `seconds` of processor time. Returns what to do instead."""
        self.record_duration(seconds)
        return _TRY_INLINE_AGAIN if self._quick_streak else _RUN_IN_THREAD

    def record_large_output(self) -> RunInThread:
        """Record that an inline attempt made a large output, the check of which no deadline interrupts."""
        self._record_slow()
        return _RUN_IN_THREAD

    def record_sleep(self) -> RunInThread:
        """Record that an inline attempt wanted to sleep, which would hold up the event loop."""
        self._record_slow()
        return _RUN_IN_THREAD

    def _record_slow(self) -> None:
        self._untried = False
        if self.runs_inline:
            self.runs_inline = False
            self._needed_streak = min(2 * self._needed_streak, _MAX_STREAK)
        self._quick_streak = 0


class PoliciesByFunction:
    """The policy of the module that each function ran last, for up to `max_functions`. Use from one event loop.

    A module that a deploy replaces is mostly as quick as the one before. Without this, the first executions of each
    revision would run in threads, which wait for the GIL while the event loop is busy.
    """

    def __init__(self, max_functions: int = MAX_FOLLOWED_FUNCTIONS) -> None:
        self._max_functions = max_functions
        self._policies: dict[UUID, InlinePolicy] = {}

    def follow(self, function_id: UUID, policy: InlinePolicy) -> None:
        """Record that the function runs the module of `policy` now, which continues from the one before it."""
        previous = self._policies.get(function_id)
        if previous is policy:
            return
        if previous is not None:
            policy.continue_from(previous)
        elif len(self._policies) >= self._max_functions:
            del self._policies[next(iter(self._policies))]
        self._policies[function_id] = policy


def inline_attempts(guest_stack_bytes: int) -> int:
    """Return how often a guest is tried inline: 0 where its stack does not fit into the main thread's."""
    return _INLINE_ATTEMPTS if main_thread_stack_fits(guest_stack_bytes + _MAIN_THREAD_STACK_BYTES) else 0


def main_thread_stack_fits(size: int) -> bool:
    """Return True if the main thread, which runs the event loop, may have a stack of `size` bytes."""
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return soft == resource.RLIM_INFINITY or soft >= size

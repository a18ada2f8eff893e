"""The choice between inline and threaded execution, for each module by the durations of its past executions.

An inline guest runs on the event loop, because passing 50 µs of work to a thread and back costs more than the work. It
has one tick of the epoch as its deadline, so a slow guest delays the event loop by at most a tick. It is then executed
again from the start in a guest thread, with the whole time limit: that is safe because a guest has no effects outside
its instance. Modules that are not known to be quick run in a thread at once.
"""

import resource
from typing import TypeAlias

import msgspec

from faas.runtime.outcome import Outcome

INLINE_TICKS = 1
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

    __slots__ = ("_allowed", "_needed_streak", "_quick_streak", "runs_inline")

    def __init__(self, *, allowed: bool = True, initial_streak: int = _INITIAL_STREAK) -> None:
        self.runs_inline = False
        self._allowed = allowed
        self._quick_streak = 0
        self._needed_streak = initial_streak

    def record_duration(self, seconds: float) -> None:
        """Record that an execution took `seconds` of processor time."""
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
        if self.runs_inline:
            self.runs_inline = False
            self._needed_streak = min(2 * self._needed_streak, _MAX_STREAK)
        self._quick_streak = 0


def inline_attempts(guest_stack_bytes: int) -> int:
    """Return how often a guest is tried inline: 0 where its stack does not fit into the main thread's."""
    return _INLINE_ATTEMPTS if main_thread_stack_fits(guest_stack_bytes + _MAIN_THREAD_STACK_BYTES) else 0


def main_thread_stack_fits(size: int) -> bool:
    """Return True if the main thread, which runs the event loop, may have a stack of `size` bytes."""
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return soft == resource.RLIM_INFINITY or soft >= size

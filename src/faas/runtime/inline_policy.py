"""The choice between inline and threaded execution, for each module by the durations of its past executions.

An inline guest runs on the event loop, because passing 50 µs of work to a thread and back costs more than the work. The
second tick of the epoch ends it: it has at least one tick, and delays the event loop by at most two. It is then
executed again from the start in a guest thread, with the whole time limit: that is safe because an inline guest has no
effects outside its instance; outbound requests are not made there. Modules that are not known to be quick run in a
thread at once. A new revision of a function is expected to be as quick as the module that the function ran before.
"""

import resource
import time
from typing import TypeAlias
from uuid import UUID

import msgspec
import structlog

from faas.runtime.hand_off import HandOff
from faas.runtime.outcome import Outcome

log = structlog.get_logger()

INLINE_TICKS = 2  # not 1: that would end whatever guest has just begun when a tick comes
MAX_FOLLOWED_FUNCTIONS = 4096
MAX_INLINE_BYTES = 64 << 10  # of input, or of output: copying and checking more than this takes long by itself
_INLINE_ATTEMPTS = 2
_MAIN_THREAD_STACK_BYTES = 1 << 20  # that the event loop needs beside the guest's stack

_MAX_SCORE = 32
_SLOW_SCORE = 8  # what a slow execution takes from the score: more than one in nine ends inline execution
_INITIAL_STREAK = 3  # quick executions before the first inline one, and before the next after a slow phase
_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.05, 0.8
_FORGET_SECONDS = 10.0  # after the last pause, the next one is a short one again


class TryInlineAgain(msgspec.Struct, frozen=True):
    """The attempt was interrupted early: for most of that time the host did not run it."""


class RunInThread(msgspec.Struct, frozen=True):
    """The inline attempt was abandoned: the guest is too slow for the event loop, waits, or has a large output."""


InlineResult: TypeAlias = Outcome | TryInlineAgain | RunInThread

_TRY_INLINE_AGAIN = TryInlineAgain()
_RUN_IN_THREAD = RunInThread()


class InlinePolicy:
    """Decides for one module whether its next guest runs inline. `runs_inline` is the decision.

    A quick execution, shorter than the bound of `hand_off`, adds one to a score of at most 32, and a slow one takes
    eight from it. A module runs inline from a few on, until none is left: a few slow executions among many (a page
    fault, a machine that stops for a moment) change nothing, and a few quick ones after a slow phase end it.

    A guest that had to be executed again, because it met the deadline, waited, or had a large output, ends inline
    execution for a while: 50 ms, and twice as long each time, up to 0.8 s. So such guests hold up the event loop for
    10 ms a second. Ten seconds without such a guest end that.

    `allowed` is False for modules that may block. `label` is the module's name in the log. `initial_streak` is how many
    quick executions come before the first inline one. Safe to use from several threads: a lost update costs only a
    decision that is a little late.
    """

    __slots__ = (
        "_allowed",
        "_hand_off",
        "_label",
        "_needed",
        "_not_before",
        "_pause",
        "_score",
        "_untried",
        "runs_inline",
    )

    def __init__(
        self,
        hand_off: HandOff,
        label: str,
        *,
        allowed: bool = True,
        initial_streak: int = _INITIAL_STREAK,
    ) -> None:
        self.runs_inline = False
        self._hand_off = hand_off
        self._label = label
        self._untried = True
        self._allowed = allowed
        self._needed = initial_streak
        self._score = 0
        self._pause = _FIRST_PAUSE_SECONDS
        self._not_before = 0.0

    def continue_from(self, previous: "InlinePolicy") -> None:
        """Take over the record of `previous`, the policy of another revision, if that runs inline and this is new."""
        if self._untried and self._allowed and previous.runs_inline:
            self._score = previous._score
            self._decide(runs_inline=True)

    def record_duration(self, seconds: float) -> None:
        """Record that an execution took `seconds` of processor time."""
        self._untried = False
        if seconds < self._hand_off.quick_seconds:
            self._record_quick()
        else:
            self._score = max(0, self._score - _SLOW_SCORE)
            if not self._score:
                self._decide(runs_inline=False)

    def record_interrupted(self, seconds: float) -> TryInlineAgain | RunInThread:
        """Record that a tick ended an inline attempt after `seconds` of processor time. Returns what to do instead."""
        if seconds < self._hand_off.quick_seconds:
            return _TRY_INLINE_AGAIN
        return self._record_executed_again()

    def record_large_output(self) -> RunInThread:
        """Record that an inline attempt made a large output, the check of which no deadline interrupts."""
        return self._record_executed_again()

    def record_wait(self) -> RunInThread:
        """Record that an inline attempt wanted to sleep or to make a request, which would hold up the event loop."""
        return self._record_executed_again()

    def _record_quick(self) -> None:
        score = self._score = min(self._score + 1, _MAX_SCORE)
        if self.runs_inline:
            if self._pause > _FIRST_PAUSE_SECONDS and time.monotonic() > self._not_before + _FORGET_SECONDS:
                self._pause = _FIRST_PAUSE_SECONDS
        elif self._allowed and score >= self._needed and time.monotonic() >= self._not_before:
            self._decide(runs_inline=True)

    def _record_executed_again(self) -> RunInThread:
        self._untried = False
        self._score = 0
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _MAX_PAUSE_SECONDS)
        self._decide(runs_inline=False)
        return _RUN_IN_THREAD

    def _decide(self, *, runs_inline: bool) -> None:
        if self.runs_inline is not runs_inline:
            self.runs_inline = runs_inline
            log.debug(
                "inline_policy.changed",
                module=self._label,
                runs_inline=runs_inline,
                score=self._score,
                quick_ms=round(self._hand_off.quick_seconds * 1000, 3),
            )


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

"""The context of host functions: the execution that they serve. Found by thread, as a thread runs one guest at a time.

Host functions must not raise. wasmtime-py passes their exceptions on through one variable of the process, so with
several threads an exception surfaces in another call or is lost. `guarded` records it in the context instead.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import wasmtime

from faas.outbound import OutboundRecord
from faas.runtime.limits import Limits
from faas.runtime.reach import NOTHING, Reach, RefusedRequests, RequestSession
from faas.units import format_duration

_thread = threading.local()

# Host functions hold the GIL, which the event loop and the other guests need too. So a guest that calls them very often
# is throttled: after the first number of calls each call sleeps for a short time, after the second for a longer one.
_UNTHROTTLED_CALLS, _THROTTLE_SECONDS = 2_000, 0.0005
_PAST_LIMIT_SECONDS = 0.02  # a sleep ends this long after the time limit: the epoch ends the guest then
_LAST_MS = 2.0  # before the time limit: a timer of the event loop may be that early
_MANY_CALLS, _LONG_THROTTLE_SECONDS = 10_000, 0.005


INTERRUPTED = "interrupted: the server shut down"


class MustRunInThread(Exception):
    """Raised by a calling convention when a guest on the event loop wants to wait: it starts again in a thread."""


class Interruption:
    """Wakes the guests that wait, once and for all. `wakes` are those of guests with outbound requests."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.wakes: set[threading.Event] = set()

    def set(self) -> None:
        """Wake all of them, and let no later one wait."""
        self.event.set()
        for wake in tuple(self.wakes):
            wake.set()


class HostContext:
    """One execution as host functions see it: its logs, why it aborted, and the error of a host function.

    As a context manager, it is the current context of its thread. A guest may sleep until `interrupted` is set, and
    make outbound requests; without one it may do neither.
    """

    def __init__(
        self,
        limits: Limits,
        interrupted: "Interruption | None" = None,
        execution_id: UUID | None = None,
        reach: Reach = NOTHING,
    ) -> None:
        self.limits = limits
        self.reach = reach
        self._interrupted = interrupted
        self._execution_id = execution_id
        self._session: RequestSession | None = None
        self._wake: threading.Event | None = None  # with a session: set when a request completes, or interrupted
        self._responses: dict[int, bytes] = {}  # those whose size the guest knows
        self.aborted: str | None = None
        self.host_error: BaseException | None = None
        self.timed_out = False
        self.in_guest_call = False  # a host function calls the guest, to allocate memory in it
        self.guest_failure: wasmtime.Trap | wasmtime.WasmtimeError | None = None  # how such a call ended
        self.thread_needed = False  # it wanted to sleep, or to make a request, on the event loop
        self.log_space = limits.logs  # characters left
        self._lines: list[str] = []
        self._truncated = False
        self._host_calls = 0
        self._started = time.perf_counter()

    def __enter__(self) -> "HostContext":
        _thread.context = self
        return self

    def __exit__(self, *_: object) -> None:
        _thread.context = None
        if self._session is not None:
            assert self._interrupted
            assert self._wake
            self._interrupted.wakes.discard(self._wake)
            self._session.close()

    def response(self, number: int) -> bytes | None:
        """Return the response to the outbound request `number`, None while it is not there."""
        found = self._responses.get(number)
        if found is None and self._session is not None:
            found = self._session.take(number)
            if found is not None:
                self._responses[number] = found
        return found

    def wait_for_response(self, number: int) -> bytes | None:
        """Return the response to the outbound request `number` when it is there, and forget it.

        Returns None where the execution ends before; the guest must not complete then.
        """
        assert self._interrupted
        while (found := self.response(number)) is None:
            if self._interrupted.event.is_set():
                self.abort(INTERRUPTED)
            if self.aborted is not None:
                return None
            self.sleep(math.inf)
        self.take_response(number)
        return found

    def abort(self, reason: str) -> None:
        """Let the execution fail with `reason`, whatever the guest does, unless there is one already."""
        if self.aborted is None:
            self.aborted = reason

    def take_response(self, number: int) -> bytes:
        """Return a response that `response` has returned, and forget it."""
        return self._responses.pop(number, b"")

    def end_requests(self) -> tuple[OutboundRecord, ...]:
        """Cancel the outbound requests that are not complete. Returns what is recorded of all of them."""
        if self._session is None:
            return ()
        self._session.close()
        return self._session.records()

    def session(self) -> RequestSession | None:
        """Return the outbound requests of the execution. None where the guest may not make any."""
        if self._interrupted is None:
            self.thread_needed = True
            return None
        if self._session is None:
            wake = threading.Event()
            open_session = self.reach.open_session or RefusedRequests
            self._session = open_session(lambda: self.remaining_ms() / 1000, wake.set)
            # Only now, as __exit__ removes it for a session. Who waits for it looks for an interruption first.
            self._wake = wake
            self._interrupted.wakes.add(wake)
        return self._session

    def execution_id(self) -> bytes:
        """Return the 16 bytes of the execution's id: of a random one where the caller has none."""
        if self._execution_id is None:
            self._execution_id = uuid4()
        return self._execution_id.bytes

    def throttle(self) -> None:
        """Count a call of a host function, and sleep when there were very many."""
        self._host_calls += 1
        if self._host_calls > _UNTHROTTLED_CALLS:
            time.sleep(_THROTTLE_SECONDS if self._host_calls < _MANY_CALLS else _LONG_THROTTLE_SECONDS)

    @property
    def logs(self) -> str | None:
        """The printed lines without NUL characters, or None when nothing was printed."""
        if not self._lines and not self._truncated:
            return None
        lines = [*self._lines, "… cut: the log limit is reached"] if self._truncated else self._lines
        return "\n".join(lines).replace("\0", "\\u0000") or None

    def log(self, level: str, text: str) -> None:
        """Keep a line, or its beginning when the log limit is reached."""
        line = text if level == "log" else f"{level}: {text}"
        if len(line) >= self.log_space:  # the end of a line counts too, so that empty lines are limited as well
            line, self._truncated = line[: self.log_space], True
        if self.log_space:
            self._lines.append(line)
        self.log_space = max(0, self.log_space - len(line) - 1)

    def log_elapsed(self, label: str) -> None:
        """Print the time since the execution began, for console.time and its relatives."""
        self.log("time", f"{label}: {self.elapsed_ms():.3f} ms")

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the execution began."""
        return (time.perf_counter() - self._started) * 1000

    def remaining_ms(self) -> float:
        """Return the milliseconds that are left of the time limit."""
        return self.limits.time * 1000 - self.elapsed_ms()

    def sleep(self, seconds: float) -> bool:
        """Sleep for `seconds`, but not past the time limit, and not past the completion of an outbound request.

        Returns False where the guest may not sleep.
        """
        if self._interrupted is None:
            self.thread_needed = True
            return False
        if self._interrupted.event.is_set():
            return True
        longest = max(0.0, self.remaining_ms() / 1000 + _PAST_LIMIT_SECONDS)
        if (self._wake or self._interrupted.event).wait(min(seconds, longest)):
            if self._wake:
                self._wake.clear()
            # A request ends with the time limit. The guest must not see that as a failure of the request.
            late = self._session is not None and self.remaining_ms() <= _LAST_MS
        else:
            # The epoch may be late on a busy machine. The guest must not complete as if it had slept for `seconds`.
            late = seconds > longest
        if late:
            self.timed_out = True
            self.aborted = f"time limit of {format_duration(self.limits.time)} exceeded"
        return True


def current() -> HostContext:
    """Return the context of the execution that this thread runs."""
    context: HostContext = _thread.context
    return context


def guarded(function: Callable[..., Any], default: float | None) -> Callable[..., Any]:
    """Wrap a host function so that it never raises: its exception is recorded, and `default` is returned."""

    def call(caller: Any, *arguments: Any) -> Any:
        try:
            current().throttle()
            return function(caller, *arguments)
        except BaseException as error:  # noqa: BLE001 - no exception may pass through wasmtime-py (see above)
            current().host_error = error
            return default

    return call

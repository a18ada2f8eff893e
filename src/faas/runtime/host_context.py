"""What host functions know of the call they serve: found by thread, because one thread runs one call at a time.

Host functions must not raise. wasmtime-py hands their exceptions on through one variable of the process, so with
several threads an exception surfaces in another call, or nowhere. `guarded` records instead.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

_here = threading.local()

# Host calls of one execution: these many as fast as they come, then with a pause (seconds) each, then with a long one.
_FREE_CALLS, _PAUSE = 2_000, 0.0005
_MANY_CALLS, _LONG_PAUSE = 10_000, 0.005


class Session:
    """One call: what the guest printed, why it aborted, and what broke in the host meanwhile."""

    def __init__(self, log_limit: int) -> None:
        self.aborted: str | None = None
        self.host_error: BaseException | None = None
        self.log_room = log_limit
        self._lines: list[str] = []
        self._cut = False
        self._calls = 0
        self._started = time.perf_counter()

    def __enter__(self) -> "Session":
        _here.session = self
        return self

    def __exit__(self, *_: object) -> None:
        _here.session = None

    def pace(self) -> None:
        """Slow a guest down that does nothing but call us: host functions hold the GIL, which the others need too."""
        self._calls += 1
        if self._calls > _FREE_CALLS:
            time.sleep(_PAUSE if self._calls < _MANY_CALLS else _LONG_PAUSE)

    @property
    def logs(self) -> str | None:
        """Everything printed, a line each, without NUL; None when nothing was."""
        lines = [*self._lines, "… cut: the log limit is reached"] if self._cut else self._lines
        return "\n".join(lines).replace("\0", "\\u0000") or None

    def log(self, level: str, text: str) -> None:
        """Keep a line, as far as there is room."""
        line = text if level == "log" else f"{level}: {text}"
        if len(line) >= self.log_room:  # each line costs one more, its end: blank ones fill the room too
            line, self._cut = line[: self.log_room], True
        if self.log_room:
            self._lines.append(line)
        self.log_room = max(0, self.log_room - len(line) - 1)

    def time_label(self, label: str) -> None:
        """console.time and its like: the time since the call began."""
        self.log("time", f"{label}: {self.elapsed_ms():.3f} ms")

    def elapsed_ms(self) -> float:
        """Milliseconds since the call began."""
        return (time.perf_counter() - self._started) * 1000


def current() -> Session:
    """The call that this thread runs."""
    session: Session = _here.session
    return session


def guarded(host: Callable[..., Any], default: float | None) -> Callable[..., Any]:
    """`host`, made safe to call from wasm: what it raises is recorded, and `default` is returned."""

    def call(caller: Any, *arguments: Any) -> Any:
        try:
            current().pace()
            return host(caller, *arguments)
        except BaseException as error:  # noqa: BLE001 - nothing may travel through wasmtime-py (see above)
            current().host_error = error
            return default

    return call

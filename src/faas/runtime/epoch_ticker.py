"""The epoch ticker: advances wasmtime's epoch while guests run, which enforces their time limits.

The ticks come from a timer of the C library, because a Python thread does not get the GIL often enough: with 48 guests
that called host functions in a loop, a limit of 10 s was kept after 77 s. The timer calls
wasmtime_engine_increment_epoch with the engine as its argument, on a thread of the C library (timer_create(2),
SIGEV_THREAD).
"""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import structlog
import wasmtime
from wasmtime import _ffi

log = structlog.get_logger()

TICK_SECONDS = 0.005
# A tick may come after the timer was deleted, as its thread may wait for a processor: up to 0.04 s later beside six
# busy processes. The engine is kept for this long, and not much longer, because it holds terabytes of addresses.
LATE_TICK_SECONDS = 0.25
IDLE_GRACE_SECONDS = 1.0  # the timer goes on for this long after the last guest: a busy server does not restart it
STALL_TOLERANCE_SECONDS = 1.0  # a guest that runs this long past its deadline gets no ticks

_CLOCK_MONOTONIC = 1
_SIGEV_THREAD = 2
_libc = ctypes.CDLL(None, use_errno=True)


class EpochTicker:
    """Advances the epoch every TICK_SECONDS while in use as a context manager, which may be nested.

    Enter, exit and close it on the event loop. A watchdog advances the epoch by itself if the timer fails.
    """

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        self._timer = _EpochTimer(engine)
        self.active_guests = 0
        self._active = False  # a guest has started since the last check
        self._idle_timer: asyncio.TimerHandle | None = None  # set while the epoch timer runs
        self._deadlines: dict[object, float] = {}  # of the guests in threads; the oldest is the first

    def __enter__(self) -> None:
        self.active_guests += 1
        self._active = True
        if self._idle_timer is None:
            self._timer.start()
            self._schedule_check()

    def __exit__(self, *_: object) -> None:
        self.active_guests -= 1

    @property
    def ticking(self) -> bool:
        """True while the timer runs."""
        return self._idle_timer is not None

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Tell the watchdog that the guest inside the context ends within `seconds`. For guest threads."""
        guest = object()
        self._deadlines[guest] = time.monotonic() + seconds
        try:
            yield
        finally:
            del self._deadlines[guest]

    def advance(self, ticks: int) -> None:
        """Advance the epoch by `ticks` at once."""
        for _ in range(ticks):
            self._engine.increment_epoch()

    def pause_timer(self) -> None:
        """Stop the timer until the ticker is next entered while idle. For tests of the watchdog."""
        self._timer.stop()

    def close(self) -> None:
        """Delete the timer. The engine may be closed then; what it holds is free LATE_TICK_SECONDS later."""
        if self._idle_timer:
            self._idle_timer.cancel()
            self._idle_timer = None
        release = self._timer.close()
        asyncio.get_running_loop().call_later(LATE_TICK_SECONDS, release)

    def _schedule_check(self) -> None:
        self._idle_timer = asyncio.get_running_loop().call_later(IDLE_GRACE_SECONDS, self._stop_when_idle)

    def _stop_when_idle(self) -> None:
        """Stop the timer if no guest ran since the last check, so that an idle server sleeps."""
        if self.active_guests or self._active:
            self._active = False
            self._schedule_check()
            self._tick_when_stalled()
        else:
            self._idle_timer = None
            self._timer.stop()

    def _tick_when_stalled(self) -> None:
        """Advance the epoch if the timer does not.

        glibc makes a thread for each tick, and drops the tick silently where the process may have no more threads.
        """
        deadlines = list(self._deadlines.values())
        if deadlines and time.monotonic() > deadlines[0] + STALL_TOLERANCE_SECONDS:
            log.error("epoch_ticker.stalled", guests=len(deadlines))
            # As many ticks as the timer should have made until the next check.
            self.advance(round(IDLE_GRACE_SECONDS / TICK_SECONDS))


class _SignalEvent(ctypes.Structure):
    """struct sigevent of glibc and musl on 64-bit Linux."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("padding", ctypes.c_byte * 32),
    )


class _TimerSpec(ctypes.Structure):
    """struct itimerspec: the interval, and the time until the first expiration."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("interval_s", "interval_ns", "first_s", "first_ns"))


class _EpochTimer:
    """A POSIX timer that increments the engine's epoch without any Python code. Safe to start and stop repeatedly."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._reference = _ffi.wasmtime_engine_clone(engine.ptr())  # the engine lives until it is released
        increment = ctypes.cast(_ffi.dll.wasmtime_engine_increment_epoch, ctypes.c_void_p)
        address = ctypes.cast(self._reference, ctypes.c_void_p)
        event = _SignalEvent(value=address.value, notify=_SIGEV_THREAD, function=increment.value)
        self._timer = ctypes.c_void_p()
        nanoseconds = int(TICK_SECONDS * 1e9)
        self._running = ctypes.byref(_TimerSpec(0, nanoseconds, 0, nanoseconds))
        self._stopped = ctypes.byref(_TimerSpec(0, 0, 0, 0))
        _check(_libc.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(self._timer)))

    def start(self) -> None:
        """Tick every TICK_SECONDS, the first time TICK_SECONDS from now."""
        _check(_libc.timer_settime(self._timer, 0, self._running, None))

    def stop(self) -> None:
        """Stop ticking until the next start."""
        _check(_libc.timer_settime(self._timer, 0, self._stopped, None))

    def close(self) -> Callable[[], None]:
        """Delete the timer. Returns what releases the engine, to be called when no tick can be in progress."""
        _check(_libc.timer_delete(self._timer))
        return partial(_ffi.wasm_engine_delete, self._reference)


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

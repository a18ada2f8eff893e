"""The engine's clock: a timer of the C library that advances the epoch without Python.

A Python thread would do, if it got its turn: guests that call host functions in a loop keep the GIL busy, and with 48
of them a limit of 10 s was kept after 77. The timer's notification calls wasmtime_engine_increment_epoch with the
engine as its argument, on a thread of the C library's own (timer_create(2), SIGEV_THREAD).
"""

import ctypes
import os

import wasmtime
from wasmtime import _ffi

TICK = 0.01  # seconds

_CLOCK_MONOTONIC = 1
_SIGEV_THREAD = 2
_libc = ctypes.CDLL(None, use_errno=True)


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


class _Interval(ctypes.Structure):
    """struct itimerspec."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns"))


class EpochClock:
    """Ticks every TICK seconds while it is started. `close` before the engine goes."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine  # kept alive: the timer holds its address
        increment = ctypes.cast(_ffi.dll.wasmtime_engine_increment_epoch, ctypes.c_void_p)
        address = ctypes.cast(engine.ptr(), ctypes.c_void_p)
        event = _SignalEvent(value=address.value, notify=_SIGEV_THREAD, function=increment.value)
        self._timer = ctypes.c_void_p()
        nanoseconds = int(TICK * 1e9)
        self._ticking = ctypes.byref(_Interval(0, nanoseconds, 0, nanoseconds))
        self._silent = ctypes.byref(_Interval(0, 0, 0, 0))
        _check(_libc.timer_create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(self._timer)))

    def start(self) -> None:
        """Tick from now on, the first time in TICK seconds."""
        _check(_libc.timer_settime(self._timer, 0, self._ticking, None))

    def stop(self) -> None:
        """Tick no more until the next start: an idle server sleeps."""
        _check(_libc.timer_settime(self._timer, 0, self._silent, None))

    def close(self) -> None:
        """No tick comes after this returns, but for one that is on its way."""
        _check(_libc.timer_delete(self._timer))


def _check(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

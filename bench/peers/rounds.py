"""Rounds of calls in a process that stays up: one round for each line of its input, so that peers take turns."""

import statistics
import sys
import time
from collections.abc import Callable

ROUND_SECONDS = 0.4
_MIN_CALLS = 1


def answer_rounds(call: Callable[[], object], expected: object) -> None:
    """Call once, print "ready", and print the median call of each round in microseconds."""
    if (answer := call()) != expected:
        sys.exit(f"answered {answer!r}, not {expected!r}")
    print("ready", flush=True)
    for _ in sys.stdin:
        seconds: list[float] = []
        end = time.perf_counter() + ROUND_SECONDS
        while len(seconds) < _MIN_CALLS or time.perf_counter() < end:
            began = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - began)
        print(statistics.median(seconds) * 1e6, flush=True)

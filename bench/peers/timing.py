"""Timing calls in process, for the peers that have no server."""

import json
import statistics
import sys
import time
from collections.abc import Callable

_WARM_UP = 200


def report(call: Callable[[], bytes], expected: bytes, calls: int) -> None:
    """Make the call so many times and print how long one takes, as `faas run --json` does: seconds, by callSeconds."""
    for _ in range(_WARM_UP):
        if (answer := call()) != expected:
            sys.exit(f"answered {answer!r}, not {expected!r}")
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    cuts = statistics.quantiles(seconds, n=100)
    print(json.dumps({"calls": calls, "callSeconds": {"median": cuts[49], "p99": cuts[98]}}))

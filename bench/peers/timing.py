"""Timing of calls in process, for the peers without a server."""

import json
import statistics
import sys
import time
from collections.abc import Callable

_WARM_UP_CALLS = 200


def report(call: Callable[[], bytes], expected: bytes, calls: int) -> None:
    """Make the calls and print the duration of one as `callSeconds`, as `faas run --json` does."""
    for _ in range(_WARM_UP_CALLS):
        if (answer := call()) != expected:
            sys.exit(f"answered {answer!r}, not {expected!r}")
    seconds = []
    for _ in range(calls):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    cuts = statistics.quantiles(seconds, n=100)
    print(json.dumps({"calls": calls, "callSeconds": {"median": cuts[49], "p99": cuts[98]}}))

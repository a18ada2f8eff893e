"""Calls of functions in JavaScript and Python in process, beside the echo in WAT and calls in fresh instances."""

import json
import subprocess
import sys

from bench.failure import BenchmarkFailed
from bench.plan import Plan
from bench.servers import ROOT
from bench.stats import Figure, Target, at_most, figure

_TIMEOUT_SECONDS = 600  # the engines are precompiled first, twice
_TARGETS: dict[str, Target] = {
    "javascript hello": at_most(3),
    "javascript order": at_most(40),  # it computes a SHA-256 in JavaScript
    "python hello": at_most(10),
    "python invoice": at_most(25),
}


def measure(plan: Plan) -> list[Figure]:
    """Compare restored instances with the floor, and with fresh instances."""
    command = [sys.executable, "-m", "bench.engine_calls", str(plan.rounds), str(plan.count(300))]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_TIMEOUT_SECONDS)
    if result.returncode:
        raise BenchmarkFailed(f"bench.engine_calls: {result.stderr.strip()[-500:]}")
    rounds: dict[str, list[float]] = json.loads(result.stdout)
    figures = []
    for name, target in _TARGETS.items():
        kept = rounds[f"{name} kept"]
        figures.append(figure(f"one call, {name}", "µs", target, kept, ("echo in WAT", rounds["wat kept"])))
        figures.append(figure(f"one call, {name}", "µs", at_most(1), kept, ("fresh instance", rounds[f"{name} fresh"])))
    return figures

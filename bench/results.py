"""What the points of the benchmark gave: figures, durations and failures."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence

import httpx
import msgspec
from rich.console import Console

from bench import host
from bench.failure import BenchmarkFailed
from bench.stats import Figure

_BUSY_SECONDS = 0.5


class Results(msgspec.Struct, frozen=True):
    """The figures of each point, how many seconds it took, and why it failed, by its name.

    `busy` is the share (0…1) of the processors that other programs used before it, when nothing was measured.
    """

    figures: dict[str, Sequence[Figure]] = {}
    seconds: dict[str, float] = {}
    failures: dict[str, str] = {}
    busy: dict[str, float] = {}

    def measure(self, name: str, point: Callable[[], Sequence[Figure]], errors: Console) -> None:
        """Measure a point, and record its figures or its failure. `errors` shows its name and its duration."""
        os.sync()  # what was measured before has removed its files: the disk must not do that during this point
        errors.print(f"[bold]{name}[/]")
        self.busy[name] = host.busy_share(_BUSY_SECONDS)
        began = time.perf_counter()
        try:
            self.figures[name] = list(point())
        except (BenchmarkFailed, httpx.HTTPError, OSError, subprocess.TimeoutExpired) as failure:
            self.failures[name] = str(failure)
            errors.print(f"  not measured: {failure}", style="red", markup=False)
        self.seconds[name] = time.perf_counter() - began
        errors.print(f"  {self.seconds[name]:.0f} s")

"""Processes that stay up for all rounds and measure one round for each line of their input."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.failure import BenchmarkFailed
from bench.servers import ROOT


@contextmanager
def ready(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a process until the end of the `with` block. Raises BenchmarkFailed unless it says that it is ready."""
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        _read(process)
        yield process
    finally:
        process.communicate()


def one_round(process: subprocess.Popen[str]) -> float:
    """Return the figure of one more round."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()
    return float(_read(process))


def _read(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise BenchmarkFailed(f"{process.args!r} ended with {process.wait()}")
    return line

"""Load on an HTTP server, as fast as it answers: wrk, driven by request.lua."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.failure import BenchmarkFailed

_SCRIPT = Path(__file__).with_name("request.lua")
_PATIENCE = 30  # seconds that wrk may take beyond its load


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of wrk saw. Latencies in milliseconds."""

    requests: int
    seconds: float
    mean: float
    median: float
    p99: float

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds


def require_wrk() -> None:
    """Raises BenchmarkFailed when there is no wrk."""
    if not shutil.which("wrk"):
        raise BenchmarkFailed("wrk, the source of load, is missing (Debian and Ubuntu: apt-get install wrk)")


def press(url: str, paths: Sequence[str], *, connections: int, seconds: float, body: str = "") -> Load:
    """Ask for `paths` in turn, over so many connections, each again once it is answered; POST where there is a `body`.

    Raises BenchmarkFailed where an answer is not 2xx or 3xx, or none comes.
    """
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds))}s"]
    command += ["--timeout", "20s", "--script", str(_SCRIPT), url, "--", body, *paths]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + _PATIENCE)
    if result.returncode:
        raise BenchmarkFailed(f"wrk ended with {result.returncode}: {(result.stdout + result.stderr).strip()[-500:]}")
    return parse_report(result.stdout)


def parse_report(output: str) -> Load:
    """The Load that wrk's `output` ends with. Raises BenchmarkFailed where requests failed, or none were answered."""
    lines = output.strip().splitlines()
    try:
        report = json.loads(lines[-1])
    except (IndexError, ValueError):
        raise BenchmarkFailed(f"wrk printed no report: {output.strip()[-500:]!r}") from None
    if report["failures"] or not report["requests"]:
        raise BenchmarkFailed(f"of {report['requests']} requests {report['failures']} failed")
    return Load(
        requests=report["requests"],
        seconds=report["seconds"],
        mean=report["mean"] / 1000,
        median=report["median"] / 1000,
        p99=report["p99"] / 1000,
    )

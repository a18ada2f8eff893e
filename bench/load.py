"""Closed-loop load on an HTTP server: wrk with the script request.lua."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.failure import BenchmarkFailed

_SCRIPT = Path(__file__).with_name("request.lua")
_WRK_TIMEOUT_SECONDS = 30  # beyond the duration of the load


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a run of wrk. Latencies are in milliseconds."""

    requests: int
    seconds: float
    mean: float
    median: float
    p99: float

    @property
    def per_second(self) -> float:
        """The answers per second."""
        return self.requests / self.seconds


def require_wrk() -> None:
    """Raise BenchmarkFailed if wrk is not installed."""
    if not shutil.which("wrk"):
        raise BenchmarkFailed("wrk, the load generator, is missing (Debian and Ubuntu: apt-get install wrk)")


def press(
    url: str, paths: Sequence[str], *, connections: int, seconds: float, body: str = "", authorization: str = ""
) -> Load:
    """Request `paths` in turn for `seconds`, with one request in flight on each connection; POST if there is a `body`.

    Raises BenchmarkFailed if an answer is not 2xx or 3xx, or if there is no answer.
    """
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds))}s"]
    if authorization:
        command += ["--header", f"Authorization: {authorization}"]
    command += ["--timeout", "20s", "--script", str(_SCRIPT), url, "--", body, *paths]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=seconds + _WRK_TIMEOUT_SECONDS
    )
    if result.returncode:
        raise BenchmarkFailed(f"wrk ended with {result.returncode}: {(result.stdout + result.stderr).strip()[-500:]}")
    return parse_report(result.stdout)


def parse_report(output: str) -> Load:
    """Parse the report at the end of wrk's `output`. Raises BenchmarkFailed if requests failed or none was answered."""
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

"""How quiet the host is: what other programs use, and a fixed piece of work for figures without a reference."""

import hashlib
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # columns of the first line: idle, iowait
_COUNTED = 8  # columns: those after them, of virtual machines, are part of the first ones
_BYTES, _REPETITIONS = 1 << 20, 64


def work_ms() -> float:
    """Return the milliseconds that a fixed number of SHA-256 sums take now: some 50 to 100."""
    data = bytes(_BYTES)
    began = time.perf_counter()
    for _ in range(_REPETITIONS):
        hashlib.sha256(data).digest()
    return (time.perf_counter() - began) * 1000


def busy_share(seconds: float) -> float:
    """Return the share (0…1) of all processors that is used, or given to other machines, during `seconds` from now."""
    before = _STAT.read_text()
    time.sleep(seconds)
    return parse_busy_share(before, _STAT.read_text())


def parse_busy_share(before: str, after: str) -> float:
    """Return the share (0…1) of the processors that was busy between two texts of /proc/stat."""
    spent = [end - start for start, end in zip(_ticks(before), _ticks(after), strict=True)]
    return 1 - sum(spent[column] for column in _IDLE) / max(1, sum(spent))


def _ticks(stat: str) -> list[int]:
    return [int(field) for field in stat.split("\n", 1)[0].split()[1 : 1 + _COUNTED]]

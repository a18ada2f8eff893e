"""Durations and sizes as people write them: `300ms`, `1m30s`, `128MiB`."""

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
_SIZE = re.compile(r"(\d+)\s*([kmg]i?b|b)?", re.IGNORECASE)

DURATION_FORM = "a duration such as 300ms, 10s, 2m or 1m30s"
SIZE_FORM = "a size such as 4096, 64KiB or 128MiB"


def parse_duration(text: str) -> float:
    """Seconds in `text` (`300ms`, `1m30s`; a bare number is seconds). Raises ValueError on anything else."""
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError(DURATION_FORM)
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def parse_size(text: str) -> int:
    """Bytes in `text` (`128MiB`; a bare number is bytes). Raises ValueError on anything else."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(SIZE_FORM)
    return int(match[1]) * _BYTES[(match[2] or "").lower()]


def format_duration(seconds: float) -> str:
    """`seconds` as `parse_duration` reads it: 0.3 → `300ms`, 90 → `1m30s`."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:g}m" * bool(minutes) + f"{rest:g}s" * bool(rest)


def format_size(size: int) -> str:
    """`size` in the largest binary unit that gives a whole number: 134217728 → `128 MiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"

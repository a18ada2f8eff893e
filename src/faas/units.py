"""Parsing and formatting of durations (`300ms`, `1m30s`, `90d`) and sizes (`128MiB`)."""

import re

_SECONDS_OF_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES_OF_UNIT = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")
_SIZE = re.compile(r"(\d+)\s*([kmg]i?b|b)?", re.IGNORECASE)

DURATION_FORMAT = "a duration such as 300ms, 10s, 2m or 1m30s"
RETENTION_FORMAT = "a duration such as 90d or 12h, or 0 to keep all; at most 36500d"
SIZE_FORMAT = "a size such as 4096, 64KiB or 128MiB"
_MOST_RETENTION_SECONDS = 36_500 * 86_400.0  # the times from now to then are valid dates


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as `300ms` or `1m30s`; a number without a unit is seconds.

    Raises ValueError when `text` is not a duration.
    """
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not _DURATION.fullmatch(text):
        raise ValueError(DURATION_FORMAT)
    return sum(float(number) * _SECONDS_OF_UNIT[unit] for number, unit in _DURATION_PART.findall(text))


def parse_retention(text: str) -> float:
    """Return the seconds of a duration with a unit, or 0. A number alone is refused: 90 might mean days.

    Raises ValueError when `text` is neither, or more than 36,500 days.
    """
    text = text.strip()
    if text != "0" and not _DURATION.fullmatch(text):
        raise ValueError(RETENTION_FORMAT)
    seconds = parse_duration(text)
    if seconds > _MOST_RETENTION_SECONDS:
        raise ValueError(RETENTION_FORMAT)
    return seconds


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `128MiB`; a number without a unit is bytes.

    Raises ValueError when `text` is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(SIZE_FORMAT)
    return int(match[1]) * _BYTES_OF_UNIT[(match[2] or "").lower()]


def format_duration(seconds: float) -> str:
    """Return `seconds` in the format of `parse_duration`: 0.3 is `300ms`, 90 is `1m30s`, 7,776,000 is `90d`."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    for unit in ("d", "h"):
        if seconds % _SECONDS_OF_UNIT[unit] == 0:
            return f"{seconds / _SECONDS_OF_UNIT[unit]:g}{unit}"
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return f"{rest:g}s"
    return f"{minutes:g}m{rest:g}s" if rest else f"{minutes:g}m"


def format_size(size: int) -> str:
    """Return `size` in the largest binary unit that gives a whole number: 134217728 is `128 MiB`."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} bytes"

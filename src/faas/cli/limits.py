"""Limits of a function on the command line: the option `--limit`, and how commands show limits."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import click

from faas.units import DURATION_FORMAT, SIZE_FORMAT, format_duration, format_size, parse_duration, parse_size

_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_NUMBER_FORMAT = "a number such as 100 or 0.5"


class _Limit(NamedTuple):
    """How the value of one limit is read from the command line and shown."""

    parse: Callable[[str], float]
    format: Callable[[Any], str]
    accepted: str


def _parse_count(text: str) -> int:
    if not re.fullmatch(r"[0-9]+", text):
        raise ValueError(text)
    return int(text)


def _parse_number(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _format_size(size: int) -> str:
    return format_size(size).removesuffix(" bytes").replace(" ", "")


def _format_number(number: float) -> str:
    return f"{number:.15g}"


_LIMITS = {
    "time": _Limit(parse_duration, format_duration, DURATION_FORMAT),
    "memory": _Limit(parse_size, _format_size, SIZE_FORMAT),
    "concurrency": _Limit(_parse_count, str, "a whole number such as 4"),
    "perSecond": _Limit(_parse_number, _format_number, _NUMBER_FORMAT),
}

# The value None removes a limit.
LimitChanges = dict[str, float | None]


def _parse_limits(_context: click.Context, _parameter: click.Parameter, given: Sequence[str]) -> LimitChanges:
    changes: LimitChanges = {}
    for text in given:
        name, equals, value = text.partition("=")
        limit = _LIMITS.get(name)
        if limit is None or not equals:
            raise click.BadParameter(f"{text!r}; accepted is NAME=VALUE with a NAME of {', '.join(_LIMITS)}")
        if name in changes:
            raise click.BadParameter(f"{name} is given twice")
        try:
            changes[name] = limit.parse(value) if value else None
        except ValueError:
            raise click.BadParameter(
                f"{text!r}: {value!r} is not {limit.accepted}; `{name}=` removes the limit"
            ) from None
    return changes


limit_option = click.option(
    "--limit",
    "limits",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_parse_limits,
    help="Limit each execution, time=5s or memory=64MiB, or their number, concurrency=4 or perSecond=100. "
    "May be repeated. NAME= removes a limit; the others stay as they are.",
)


def change_limits(settings: dict[str, Any], changes: LimitChanges) -> dict[str, Any]:
    """Return the settings of a function with `changes` of its limits."""
    limits = {**settings.get("limits", {}), **changes}
    return {**settings, "limits": {name: value for name, value in limits.items() if value is not None}}


def read_limit(name: str, value: object) -> float:
    """Return a limit as a project file has it: a number, or a text that `--limit` takes. Raises ValueError."""
    limit = _LIMITS.get(name)
    if limit is None:
        raise ValueError(f"{name} is unknown; accepted are {', '.join(_LIMITS)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        return limit.parse(str(value))
    except ValueError:
        raise ValueError(f"{name}: {value!r} is not {limit.accepted}") from None


def describe_limits(limits: dict[str, Any]) -> list[str]:
    """Return limits as `--limit` takes them, each as `NAME=VALUE`."""
    shown = [f"{name}={limit.format(limits[name])}" for name, limit in _LIMITS.items() if name in limits]
    others = {name: value for name, value in limits.items() if name not in _LIMITS}
    return shown + [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in others.items()]

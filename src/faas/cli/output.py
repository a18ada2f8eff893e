"""What commands print: tables and colour on a terminal, the same lines without colour in a pipe, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_COLOURS = {"READY": "green", "COMPLETED": "green", "FAILED": "red", "COMPILING": "yellow", "PENDING": "yellow"}
_COLOURS["RUNNING"] = "cyan"
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def print_json(value: Any) -> None:
    """`value` as JSON: indented on a terminal, one line otherwise."""
    click.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table; cells that name a state are coloured. Only the last column gives way where the terminal is narrow."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # a pipe has no width to fit into
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for position, column in enumerate(columns):
        widest = max([len(column), *(len(row[position]) for row in rows)])
        last = position == len(columns) - 1
        justify: Literal["left", "right"] = "right" if column == "DURATION" else "left"
        table.add_column(column, justify=justify, no_wrap=True, overflow="ellipsis", min_width=None if last else widest)
    for row in rows:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in row))
    console.print(table)


def print_fields(fields: dict[str, str]) -> None:
    """A list of names and values, aligned."""
    width = max(map(len, fields))
    for name, value in fields.items():
        shown = click.style(value, fg=_COLOURS.get(value)) if value in _COLOURS else value
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {shown}")


def ago(timestamp: str) -> str:
    """An RFC 3339 timestamp as people say it: `3 min ago`."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds()
    for unit, size in (("d", _DAY), ("h", _HOUR), ("min", _MINUTE)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{max(0, int(seconds))} s ago"


def milliseconds(value: float | None) -> str:
    """A duration for a table."""
    return "–" if value is None else f"{value:.1f} ms"


def first_line(text: str | None, width: int = 60) -> str:
    """The first line of `text`, cut to `width`."""
    line = (text or "").strip().split("\n", 1)[0]
    return line if len(line) <= width else line[: width - 1] + "…"

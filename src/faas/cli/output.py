"""Output of the commands: tables with colour on a terminal and without in a pipe, and JSON."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import click
import msgspec
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from faas.cli.terminal import for_cell, for_display, json_for_display

_COLOUR_OF_STATUS = {
    "READY": "green",
    "COMPLETED": "green",
    "FAILED": "red",
    "COMPILING": "yellow",
    "PENDING": "yellow",
    "RUNNING": "cyan",
    "live": "green",
    "active": "green",
    "expired": "yellow",
    "revoked": "red",
}
_COLOUR_OF_DIFF_LINE = {"+": "green", "-": "red", "@": "cyan"}
NO_VALUE = "\N{EN DASH}"  # in a cell
_COLUMN_GAP = 3  # spaces between two columns of a table
_MINUTE_SECONDS, _HOUR_SECONDS, _DAY_SECONDS = 60, 3600, 86400


def print_json(value: Any) -> None:
    """Print `value` as JSON, indented on a terminal and on one line otherwise."""
    print_document(json.dumps(value, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def print_document(document: str) -> None:
    """Print a JSON text. It stays valid, with the same values, in every encoding and on a terminal."""
    click.echo(json_for_display(document, sys.stdout))


def raw_members(document: str) -> dict[str, str]:
    """Return the JSON texts of the members of a JSON object, which keeps their numbers and the order of their keys."""
    try:
        return {
            name: bytes(raw).decode()
            for name, raw in msgspec.json.decode(document, type=dict[str, msgspec.Raw]).items()
        }
    except msgspec.DecodeError:  # unpaired surrogates, which msgspec does not read, but the standard library does
        members = json.loads(document)
        return {name: json.dumps(value, ensure_ascii=True, separators=(",", ":")) for name, value in members.items()}


def print_text(text: str, *, err: bool = False, fg: str | None = None, dim: bool | None = None) -> None:
    """Print an untrusted text in a style: exactly, but on a terminal without control characters."""
    stream = sys.stderr if err else sys.stdout
    shown = for_display(text, stream)
    # click removes escape sequences where no terminal is, also those of the text, unless it is told not to.
    coloured = stream.isatty() and not Console().no_color
    click.echo(click.style(shown, fg=fg, dim=dim) if coloured else shown, err=err, color=True)


def print_source(source: str) -> None:
    """Print a source: exactly its bytes, but on a terminal without control characters."""
    if sys.stdout.isatty():
        click.echo(for_display(source, sys.stdout), nl=False)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(source.encode())


def print_diff(diff: str) -> None:
    """Print a unified diff: exactly, but on a terminal in colours and without control characters."""
    if not sys.stdout.isatty():
        print_source(diff)
        return
    for line in diff.removesuffix("\n").split("\n"):
        print_text(line, fg=_COLOUR_OF_DIFF_LINE.get(line[:1]))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, optional: str | None = None) -> None:
    """Print a table with coloured statuses. The column `optional` is left out if no row has a value there.

    On a narrow terminal the last column is shortened, or left out if it is empty, and `optional` is left out; the other
    columns are never cut.
    """
    console = Console(highlight=False)
    cells = [[for_cell(cell) for cell in row] for row in rows]
    if optional and all(row[columns.index(optional)] == NO_VALUE for row in cells):
        columns, cells = _without(columns, cells, optional)
    widths = _widths(columns, cells)
    if console.is_terminal:
        shortest = [*widths[:-1], cell_len(columns[-1])]
        if _total(shortest) > console.width and not any(row[-1] for row in cells):
            columns, cells = _without(columns, cells, columns[-1])
            shortest = _widths(columns, cells)
        if _total(shortest) > console.width and optional and optional in columns:
            columns, cells = _without(columns, cells, optional)
        widths = _widths(columns, cells)
        left = console.width - _total([*widths[:-1], 0])
        widths[-1] = max(cell_len(columns[-1]), min(widths[-1], left))
    # In a pipe no line is wrapped. On a terminal that is too narrow, rich would leave any column out.
    console.width = _total(widths)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for column, width in zip(columns, widths, strict=True):
        justify: Literal["left", "right"] = "right" if column == "DURATION" else "left"
        table.add_column(column, justify=justify, no_wrap=True, overflow="ellipsis", width=width)
    for row in cells:
        table.add_row(*map(_coloured, row))
    console.print(table)


def _without(columns: Sequence[str], rows: list[list[str]], name: str) -> tuple[list[str], list[list[str]]]:
    kept = [at for at, column in enumerate(columns) if column != name]
    return [columns[at] for at in kept], [[row[at] for at in kept] for row in rows]


def _widths(columns: Sequence[str], rows: list[list[str]]) -> list[int]:
    return [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _COLUMN_GAP * (len(widths) - 1)


def _coloured(cell: str) -> Text:
    """Return a cell, coloured if it is a status or the number of a revision with its status."""
    number, _, status = cell.partition(" ")
    return Text(cell, style=_COLOUR_OF_STATUS.get(status if number.isdecimal() else cell, ""))


def print_fields(fields: dict[str, str]) -> None:
    """Print names and values in two aligned columns."""
    width = max(map(len, fields))
    for name, text in fields.items():
        value = for_display(text, sys.stdout)
        shown = click.style(value, fg=_COLOUR_OF_STATUS.get(value)) if value in _COLOUR_OF_STATUS else value
        click.echo(f"{click.style(name.ljust(width), bold=True)}  {shown}")


def live_revision(function: dict[str, Any]) -> int | None:
    """Return the number of the live revision of a function that was asked for without a revision; None for none."""
    return function["revision"] if function["status"] == "READY" else None


def ago(timestamp: str) -> str:
    """Return the age of an RFC 3339 timestamp, such as `3 min ago`."""
    return f"{_span(_age_seconds(timestamp))} ago"


def in_or_ago(timestamp: str) -> str:
    """Return how far an RFC 3339 timestamp is from now, such as `in 3 min` or `3 min ago`."""
    age = _age_seconds(timestamp)
    return f"in {_span(-age)}" if age < 0 else f"{_span(age)} ago"


def is_past(timestamp: str) -> bool:
    """Return whether an RFC 3339 timestamp is in the past."""
    return _age_seconds(timestamp) >= 0


def _age_seconds(timestamp: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds()


def _span(seconds: float) -> str:
    for unit, size in (("d", _DAY_SECONDS), ("h", _HOUR_SECONDS), ("min", _MINUTE_SECONDS)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def milliseconds(value: float | None) -> str:
    """Return a duration for a table cell; a dash for None."""
    return "–" if value is None else f"{value:.1f} ms"


def first_line(text: str | None, width: int = 60) -> str:
    """Return the first line of `text`, shortened to `width` characters."""
    line = (text or "").strip().split("\n", 1)[0]
    return line if len(line) <= width else line[: width - 1] + "…"

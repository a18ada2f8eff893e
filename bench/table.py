"""Output of the figures: a table for a terminal, Markdown for docs/performance.md, and JSON."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import cpu_count

import msgspec
from rich.table import Table

from bench.stats import Figure

HEADINGS = ("figure", "ours", "reference", "", "compared", "target", "met")


def cells(figure: Figure) -> tuple[str, ...]:
    """Return the cells of a figure in the order of HEADINGS."""
    target = figure.target
    unit = "" if target.compared == "ratio" else f" {figure.unit}"
    sign = "+" if target.compared == "difference" else ""
    bound = f"{target.relation} {sign}{target.bound:.3g}{unit}" if target.judged else "—"
    ratio = "—"
    if target.compared != "value":
        ratio = f"{figure.compared:{sign}.2f}{unit}"
        if figure.least != figure.most:
            ratio += f" ({figure.least:{sign}.2f} … {figure.most:{sign}.2f})"
    return (
        figure.name,
        quantity(figure.ours, figure.unit),
        quantity(figure.reference, figure.unit) if figure.reference is not None else "—",
        figure.against,
        ratio,
        bound,
        verdict(figure),
    )


def verdict(figure: Figure) -> str:
    """Return whether the target is met, or that the host was too noisy to judge, with the spread of the reference."""
    if not figure.target.judged:
        return "—"
    if figure.noisy:
        return f"too noisy ({figure.spread:.2f})"
    return "yes" if figure.met else "NO"


def summary(figures: Sequence[Figure]) -> str:
    """Return the numbers of the verdicts in one line."""
    figures = [figure for figure in figures if figure.target.judged]
    met = sum(figure.met and not figure.noisy for figure in figures)
    noisy = sum(figure.noisy for figure in figures)
    return f"{met} of {len(figures)} met" + (f", {noisy} too noisy to judge" if noisy else "")


def quantity(value: float, unit: str) -> str:
    """Return `value` with three significant digits and the unit."""
    shown = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{shown}{unit}" if unit.startswith("/") else f"{shown} {unit}"


def terminal(figures: Sequence[Figure]) -> Table:
    """Return the table for a terminal."""
    table = Table(*HEADINGS)
    for figure in figures:
        style = "yellow" if figure.noisy else "green" if figure.met else "bold red"
        *row, met = cells(figure)
        table.add_row(*row, f"[{style}]{met}[/]")
    return table


def markdown(figures: Sequence[Figure]) -> str:
    """Return the table as Markdown."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(cells(figure) for figure in figures)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def document(
    figures: Mapping[str, Sequence[Figure]], seconds: Mapping[str, float], failures: Mapping[str, str]
) -> bytes:
    """Return the figures as JSON, with all rounds, the duration and failure of each point, the machine and the time."""
    everything = {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": cpu_count(), "processor": platform.machine(), "system": platform.release()},
        "seconds": seconds,
        "figures": figures,
        "failures": failures,
    }
    return msgspec.json.format(msgspec.json.encode(everything), indent=2)

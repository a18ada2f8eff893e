"""Output of the figures: a table for a terminal, Markdown for docs/performance.md, and JSON."""

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import cpu_count
from statistics import median

import msgspec
from rich.table import Table

from bench.results import Results
from bench.stats import Figure

QUIET_SHARE = 0.1  # of the processors, that may be used while nothing is measured
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
    """Return whether the target is met; beside it the spread of the reference, where that is too noisy to judge."""
    if not figure.target.judged:
        return "—"
    met = "yes" if figure.met else "NO"
    return f"{met}, too noisy ({figure.spread:.2f})" if figure.noisy else met


def summary(figures: Sequence[Figure]) -> str:
    """Return the numbers of the verdicts in one line. A figure that could not be judged counts neither as met nor as
    missed."""
    figures = [figure for figure in figures if figure.target.judged]
    judged = [figure for figure in figures if not figure.noisy]
    met = sum(figure.met for figure in judged)
    counts = f"{met} of {len(figures)} targets met, {len(judged) - met} missed"
    unjudged = len(figures) - len(judged)
    return counts + (f", {unjudged} could not be judged because the host was too noisy" if unjudged else "")


def durations(seconds: Mapping[str, float]) -> str:
    """Return how long each point and all of them took, one on each line."""
    width = max(map(len, [*seconds, "all"]))
    return "\n".join(
        f"{name:<{width}}  {value:4.0f} s" for name, value in {**seconds, "all": sum(seconds.values())}.items()
    )


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


def host(busy: Sequence[float]) -> str:
    """Return how much of the processors other programs used before each point, as a sentence with a verdict."""
    verdict = "" if max(busy) <= QUIET_SHARE else ": the host was not quiet"
    return (
        f"before the points, other programs used {median(busy):.0%} of the processors, at most {max(busy):.0%}{verdict}"
    )


def document(results: Results) -> bytes:
    """Return the figures as JSON, with all rounds, the duration and failure of each point, the machine and the time."""
    everything = {
        "measuredAt": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cores": cpu_count(), "processor": platform.machine(), "system": platform.release()},
        "seconds": results.seconds,
        "busy": results.busy,
        "figures": results.figures,
        "failures": results.failures,
    }
    return msgspec.json.format(msgspec.json.encode(everything), indent=2)

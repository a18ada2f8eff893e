"""`make bench`: measures all figures and prints one table.

Exit codes: 0 everything was measured, whether targets are met or not; 1 a measurement failed; 2 wrong usage.
"""

import signal
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from bench import table
from bench.client import warm_faas
from bench.figures import LONG_POINTS, POINTS
from bench.plan import Plan
from bench.results import Results
from bench.stats import Figure

_FOLDER = Path("/var/tmp")  # noqa: S108 (on a disk; /tmp may be in memory)

_TEMPLATE = "template"  # shown like a point: it takes its time

_TABLE_WIDTH_COLUMNS = 150  # the width at which no line wraps


@click.command()
@click.option(
    "--only",
    metavar="NAME",
    multiple=True,
    type=click.Choice([*POINTS, *LONG_POINTS]),
    help=f"Measure only this point; repeatable. Not measured without it: {', '.join(LONG_POINTS)}.",
)
@click.option(
    "--rounds",
    metavar="N",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="Rounds of each measurement.",
)
@click.option(
    "--seconds",
    metavar="N",
    type=click.IntRange(1, 60),
    default=2,
    show_default=True,
    help="Seconds of load in each round.",
)
@click.option("--quick", is_flag=True, help="Only try it: one round of one second, a tenth of the counts.")
@click.option(
    "--json", "json_file", metavar="FILE", type=click.Path(path_type=Path), help="Also write the figures to FILE."
)
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=_FOLDER,
    show_default=True,
    help="Folder for data directories, on a disk: fsync in memory costs nothing.",
)
def main(
    only: tuple[str, ...], rounds: int, seconds: int, quick: bool, json_file: Path | None, markdown: bool, folder: Path
) -> None:
    """Measure faas and its peers on this machine, with servers that the benchmark starts."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that servers are stopped, too
    errors = Console(stderr=True, highlight=False)
    results = Results()
    with tempfile.TemporaryDirectory(prefix="faas-bench-", dir=folder) as shared:
        template = Path(shared, "template")
        results.measure(_TEMPLATE, lambda: _make_template(template), errors)
        for name in () if results.failures else only or POINTS:
            with tempfile.TemporaryDirectory(prefix="faas-bench-", dir=folder) as place:
                plan = Plan(
                    rounds=1 if quick else rounds,
                    seconds=1 if quick else seconds,
                    scale=0.1 if quick else 1,
                    folder=Path(place),
                    template=template,
                    progress=lambda text: errors.print(f"  {text}"),
                )
                results.measure(name, partial((POINTS | LONG_POINTS)[name], plan), errors)

    lines = [figure for point in results.figures.values() for figure in point]
    if markdown:
        click.echo(table.markdown(lines))
    else:
        Console(width=max(Console().width, _TABLE_WIDTH_COLUMNS)).print(table.terminal(lines))
    click.echo(table.summary(lines))
    click.echo(table.host(list(results.busy.values())))
    click.echo(table.durations(results.seconds), err=True)
    if json_file:
        json_file.write_bytes(table.document(results))
    for name, reason in results.failures.items():
        click.echo(f"{name} was not measured: {reason}", err=True)
    sys.exit(1 if results.failures else 0)


def _make_template(data_dir: Path) -> Sequence[Figure]:
    """Make the data directory that the servers get copies of: the schema, and the native code of the engines."""
    with warm_faas(data_dir):
        return []


if __name__ == "__main__":
    main()

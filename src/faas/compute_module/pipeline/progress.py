"""How far a run is: a bar on a terminal, otherwise a line every few seconds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from faas.compute_module.pipeline.tally import Tally

LINE_INTERVAL = 5.0
_BAR_INTERVAL = 0.2


@asynccontextmanager
async def show_progress(tally: Tally, console: Console, write_line: Callable[[str], None]) -> AsyncIterator[None]:
    """Show `tally` while the body runs: on `console` when that is a terminal, else through `write_line`."""
    task = asyncio.create_task(_draw(tally, console) if console.is_terminal else _tell(tally, write_line))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _tell(tally: Tally, write_line: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(LINE_INTERVAL)
        done = tally.ok + tally.error
        rate = done / tally.seconds if tally.seconds else 0.0
        write_line(
            f"{tally.note or 'working'}: {done} of {tally.pending} addresses, {tally.error} errors, {rate:.0f}/s"
        )


async def _draw(tally: Tally, console: Console) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[red]{task.fields[error]} errors"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("starting", total=None, error=0)
        while True:
            progress.update(
                bar,
                description=tally.note or "starting",
                total=tally.pending if tally.rows else None,
                completed=tally.done,
                error=tally.error,
            )
            await asyncio.sleep(_BAR_INTERVAL)

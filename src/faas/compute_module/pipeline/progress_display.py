"""The progress of a run on standard error: a bar on a terminal, otherwise a line every few seconds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from faas.compute_module.pipeline.run_progress import RunProgress

LINE_INTERVAL_SECONDS = 5.0
_BAR_INTERVAL_SECONDS = 0.2


@asynccontextmanager
async def show_progress(
    progress: RunProgress, console: Console, write_line: Callable[[str], None]
) -> AsyncIterator[None]:
    """Show `progress` while the body runs: on `console` when that is a terminal, otherwise through `write_line`."""
    task = asyncio.create_task(
        _show_bar(progress, console) if console.is_terminal else _show_lines(progress, write_line)
    )
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _show_lines(progress: RunProgress, write_line: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(LINE_INTERVAL_SECONDS)
        done = progress.ok + progress.errors
        rate = done / progress.seconds if progress.seconds else 0.0
        write_line(
            f"{progress.activity or 'working'}: {done} of {progress.pending} addresses, {progress.errors} errors, "
            f"{rate:.0f}/s"
        )


async def _show_bar(progress: RunProgress, console: Console) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[red]{task.fields[errors]} errors"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as display:
        bar = display.add_task("starting", total=None, errors=0)
        while True:
            display.update(
                bar,
                description=progress.activity or "starting",
                total=progress.pending if progress.rows else None,
                completed=progress.done,
                errors=progress.errors,
            )
            await asyncio.sleep(_BAR_INTERVAL_SECONDS)

"""The progress of a run on a terminal and in a log."""

import asyncio
import io

from rich.console import Console

from faas.compute_module.pipeline.progress_display import show_progress
from faas.compute_module.pipeline.run_progress import RunProgress
from tests.helpers.compute_module import virtual_time


def show(*, terminal: bool) -> tuple[str, list[str]]:
    lines: list[str] = []
    screen = io.StringIO()
    progress = RunProgress(rows=200, unique=180, cached=30, activity="enriching")

    async def main() -> None:
        async with show_progress(progress, Console(file=screen, force_terminal=terminal, width=100), lines.append):
            for _ in range(11):
                await asyncio.sleep(1)
                progress.ok += 9
                progress.failed += 1

    virtual_time.run(main())
    return screen.getvalue(), lines


def test_progress_display_without_a_terminal_writes_a_line_every_five_seconds() -> None:
    screen, lines = show(terminal=False)
    assert screen == ""
    assert [line.partition(" errors")[0] for line in lines] == [
        "enriching: 40 of 150 addresses, 4",
        "enriching: 90 of 150 addresses, 9",
    ]


def test_progress_display_on_a_terminal_is_a_bar() -> None:
    screen, lines = show(terminal=True)
    assert lines == []
    assert "enriching" in screen
    assert "100/150" in screen
    assert "10 errors" in screen

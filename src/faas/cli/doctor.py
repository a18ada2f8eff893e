"""`faas doctor`: checks an installation and says what to do."""

import os
import sys

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from faas import __version__, settings
from faas.cli.output import print_json
from faas.cli.setting_options import with_settings
from faas.cli.terminal import escape_controls
from faas.doctor import GROUPS, Diagnosis, Finding, diagnose

_COLOURS = {"OK": "green", "WARN": "yellow", "FAIL": "red"}
_PIPE_WIDTH = 10_000  # a pipe has no width to fit into


@click.command()
@with_settings(
    "role",
    "host",
    "port",
    "auth",
    "tls_cert",
    "tls_key",
    "data_dir",
    "database_url",
    "database_pool",
    "languages",
    "compile_workers",
    "compile_memory",
    "memory_limit",
    "stack_limit",
    "max_in_flight",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def doctor(context: click.Context, /, as_json: bool, **options: str | None) -> None:
    """Check an installation, and say what to do about each finding.

    Give it the settings of `faas serve`. It works while the server runs and while it does not, and changes nothing.

    Exit codes: 0 nothing FAILs, 1 something does, 2 a setting or a flag is wrong.
    """
    diagnosis = diagnose(settings.load(options))
    if as_json:
        print_json(_as_json(diagnosis))
    else:
        _print_table(diagnosis.findings)
        click.echo()
        click.echo(_summarize(diagnosis))
    code = 1 if diagnosis.status == "FAIL" else 0
    if not diagnosis.complete:
        # A thread may still wait for a name server; joining it at exit would block.
        sys.stdout.flush()
        os._exit(code)
    context.exit(code)


COMMANDS: dict[str, click.Command] = {"doctor": doctor}


def _as_json(diagnosis: Diagnosis) -> dict[str, object]:
    groups = {check: group.module for group in GROUPS for check in group.checks}
    return {
        "status": diagnosis.status,
        "version": __version__,
        "findings": [
            {
                "group": groups[finding.check],
                "check": finding.check,
                "status": finding.status,
                "finding": finding.finding,
                "action": finding.action or None,
            }
            for finding in diagnosis.findings
        ],
    }


def _print_table(findings: tuple[Finding, ...]) -> None:
    """Print a row for each finding, and below it what to do. Cells wrap, so that actions are shown in full."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    if console.is_terminal:
        table.box = box.SIMPLE_HEAD
        table.show_edge = False
        table.padding = (0, 1)
    table.add_column("STATUS", no_wrap=True)
    table.add_column("CHECK", no_wrap=True)
    table.add_column("FINDING", overflow="fold")
    for finding in findings:
        cell = Text(escape_controls(finding.finding))
        if finding.action:
            cell.append(f"\n→ {escape_controls(finding.action)}", style="bold")
        table.add_row(Text(finding.status, style=_COLOURS[finding.status]), Text(finding.check), cell)
    with console.capture() as captured:
        console.print(table)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def _summarize(diagnosis: Diagnosis) -> str:
    counts = {status: sum(finding.status == status for finding in diagnosis.findings) for status in _COLOURS}
    text = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return click.style(text, fg=_COLOURS[diagnosis.status], bold=True)

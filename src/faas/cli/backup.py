"""`faas backup` and `faas restore`."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from faas import logs, settings
from faas.backup.archive import Archive
from faas.backup.backup import back_up
from faas.backup.manifest import Manifest
from faas.backup.output import new_file, standard_output
from faas.backup.places import existing_database, new_database
from faas.backup.restore import Restored, restore
from faas.cli.setting_options import with_settings
from faas.errors import BackupFailed, ConfigurationError
from faas.settings import Settings

_PLACE = ("data_dir", "database_url", "log_format", "log_level")
T = TypeVar("T")


@click.command("backup")
@click.argument("file")
@click.option("--force", is_flag=True, help="Replace FILE when it exists.")
@with_settings(*_PLACE)
def backup_command(file: str, force: bool, **options: str | None) -> None:
    """Write everything into FILE: functions and their modules, executions, queues. `-` is standard output.

    The server may run meanwhile: FILE holds one moment of it. When the embedded Postgres of --data-dir is not running,
    it is started for this and stopped again. FILE holds sources, inputs and outputs; only you can read it.
    """
    chosen = settings.load(options)
    logs.configure(chosen.log_format, chosen.log_level)
    if file == "-":
        if sys.stdout.isatty():
            raise ConfigurationError("a backup is no text for a terminal: name a file, or redirect the output")
        manifest = _run(_back_up(chosen, None, force))
    else:
        manifest = _run(_back_up(chosen, Path(file), force))
    size = "" if file == "-" else f" ({Path(file).stat().st_size / (1 << 20):.1f} MiB)"
    click.echo(
        f"backed up {_contents(manifest)} to {'standard output' if file == '-' else file}{size}", err=file == "-"
    )


@click.command("restore")
@click.argument("file")
@with_settings(*_PLACE)
def restore_command(file: str, **options: str | None) -> None:
    """Make a new database of the backup FILE: in an empty --data-dir, or in the empty database of --database-url.

    Everything is checked first, and everything is restored or nothing. Executions that were running at the moment of
    the backup are FAILED as interrupted; compilations that waited go on when a server starts.
    """
    chosen = settings.load(options)
    logs.configure(chosen.log_format, chosen.log_level)
    if file == "-":
        raise ConfigurationError("a backup is read from its end: restore takes a file, not standard input")
    with Archive(Path(file)) as archive:
        restored = _run(_restore(chosen, archive))
        manifest = archive.manifest
    click.echo(
        f"restored {_contents(manifest)}, as of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC (faas {manifest.faas})"
    )
    if restored.interrupted:
        click.echo(f"{_count(restored.interrupted, 'execution')} had not ended: FAILED as interrupted")
    if restored.migrated:
        click.echo(f"migrated from {manifest.migrations[-1].name} to {restored.migrated[-1]}")
    place = "--database-url URL" if chosen.database_url else f"--data-dir {chosen.data_dir}"
    click.echo(f"next: {sys.argv[0]} serve {place}")


COMMANDS: dict[str, click.Command] = {"backup": backup_command, "restore": restore_command}


async def _back_up(chosen: Settings, path: Path | None, force: bool) -> Manifest:
    with standard_output() if path is None else new_file(path, replace=force) as stream:
        async with existing_database(chosen) as connection:
            return await back_up(connection, stream)


async def _restore(chosen: Settings, archive: Archive) -> Restored:
    archive.verify()
    async with new_database(chosen) as connection:
        return await restore(connection, archive)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` to its end, or to a signal: what it has begun is then taken away."""

    async def supervised() -> T:
        task = asyncio.current_task()
        assert task
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    try:
        return asyncio.run(supervised())
    except asyncio.CancelledError:
        raise BackupFailed("stopped by a signal; nothing was left behind") from None


def _contents(manifest: Manifest) -> str:
    waiting = sum(table.rows for table in manifest.tables if table.name.startswith("pgmq.q_"))
    return (
        f"{_count(manifest.rows('functions'), 'function')}, {_count(manifest.rows('executions'), 'execution')} "
        f"and {_count(waiting, 'waiting message')}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

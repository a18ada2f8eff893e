"""The commands `faas backup` and `faas restore`."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from faas import logs, settings
from faas.backup.archive import ArchiveReader
from faas.backup.backup import back_up
from faas.backup.databases import existing_database, new_database
from faas.backup.manifest import Manifest
from faas.backup.output import new_file, standard_output
from faas.backup.restore import RestoreResult, restore
from faas.cli.setting_options import with_settings
from faas.errors import BackupFailed, ConfigurationError
from faas.settings import Settings

_DATABASE_SETTINGS = ("data_dir", "secret_key_file", "database_url", "log_format", "log_level")
T = TypeVar("T")


@click.command("backup")
@click.argument("file")
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@with_settings(*_DATABASE_SETTINGS)
def backup_command(file: str, force: bool, **options: str | None) -> None:
    """Back up functions with their modules, executions and queues into FILE. `-` is standard output.

    The server may be running: FILE is a consistent snapshot. The embedded Postgres of --data-dir is started for the
    backup if it is not running. FILE contains sources, inputs and outputs; only you can read it.
    """
    chosen = settings.load(options)
    logs.configure(chosen.log_format, chosen.log_level)
    if file == "-":
        if sys.stdout.isatty():
            raise ConfigurationError(
                "refusing to write a binary backup to a terminal; name a file or redirect the output"
            )
        manifest = _run(_back_up(chosen, None, force))
    else:
        manifest = _run(_back_up(chosen, Path(file), force))
    size = "" if file == "-" else f" ({Path(file).stat().st_size / (1 << 20):.1f} MiB)"
    click.echo(
        f"backed up {_contents(manifest)} to {'standard output' if file == '-' else file}{size}", err=file == "-"
    )
    if manifest.secret_keys:
        click.echo(
            f"the {_count(manifest.rows('secrets'), 'secret')} in it can be opened only with {_keys(manifest)}, "
            f"which the backup does not hold: keep the file {chosen.secret_key_path} apart",
            err=True,
        )


@click.command("restore")
@click.argument("file")
@with_settings(*_DATABASE_SETTINGS)
def restore_command(file: str, **options: str | None) -> None:
    """Restore the backup FILE into an empty --data-dir or the empty database of --database-url.

    FILE is verified first and restored in one transaction. Executions that were running when the backup was made
    become FAILED as interrupted; queued compilations continue when a server starts.
    """
    chosen = settings.load(options)
    logs.configure(chosen.log_format, chosen.log_level)
    if file == "-":
        raise ConfigurationError("restore needs a file, not standard input: a backup is read from its end")
    with ArchiveReader(Path(file)) as archive:
        restored = _run(_restore(chosen, archive))
        manifest = archive.manifest
    click.echo(
        f"restored {_contents(manifest)}, as of {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC (faas {manifest.faas})"
    )
    if restored.interrupted:
        click.echo(f"{_count(restored.interrupted, 'execution')} had not ended: FAILED as interrupted")
    if restored.migrated:
        click.echo(f"migrated from {manifest.migrations[-1].name} to {restored.migrated[-1]}")
    if manifest.secret_keys:
        click.echo(
            f"{_count(manifest.rows('secrets'), 'secret')}: put the key file of {_keys(manifest)} at "
            f"{chosen.secret_key_path}; the backup does not hold it"
        )
    database_option = "--database-url URL" if chosen.database_url else f"--data-dir {chosen.data_dir}"
    click.echo(f"next: {sys.argv[0]} serve {database_option}")


COMMANDS: dict[str, click.Command] = {"backup": backup_command, "restore": restore_command}


async def _back_up(chosen: Settings, path: Path | None, force: bool) -> Manifest:
    with standard_output() if path is None else new_file(path, replace=force) as stream:
        async with existing_database(chosen) as connection:
            return await back_up(connection, stream)


async def _restore(chosen: Settings, archive: ArchiveReader) -> RestoreResult:
    archive.verify()
    async with new_database(chosen) as connection:
        return await restore(connection, archive)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work`. SIGINT and SIGTERM cancel it, and it removes its partial result."""

    async def supervised() -> T:
        task = asyncio.current_task()
        assert task
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work

    try:
        return asyncio.run(supervised())
    except asyncio.CancelledError:
        raise BackupFailed("stopped by a signal; no partial result was left behind") from None


def _contents(manifest: Manifest) -> str:
    waiting = sum(table.rows for table in manifest.tables if table.name.startswith("pgmq.q_"))
    return (
        f"{_count(manifest.rows('functions'), 'function')}, {_count(manifest.rows('executions'), 'execution')} "
        f"and {_count(waiting, 'waiting message')}"
    )


def _keys(manifest: Manifest) -> str:
    return f"the key{'s' if len(manifest.secret_keys) > 1 else ''} {' and '.join(manifest.secret_keys)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

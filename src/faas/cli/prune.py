"""The command `faas prune`: what the background task of retention does, at once and without a server."""

import asyncio
import time
from collections.abc import Sequence

import click
import msgspec

from faas import logs, settings
from faas.backup.databases import existing_database
from faas.cli.output import print_json, print_table
from faas.cli.setting_options import with_settings
from faas.database.pool import Connection
from faas.errors import ConfigurationError
from faas.retention import queries
from faas.retention.batches import Pacer
from faas.retention.forecast import Forecast, forecast
from faas.retention.lock import advisory_lock
from faas.retention.policy import Policy, policy_of
from faas.retention.run import RunResult, run_once
from faas.settings import Settings
from faas.units import format_duration

_LOCK_TIMEOUT_SECONDS = 60.0  # a run of a server's background task takes less
_PAUSE_FACTOR = 1.0  # half of the time is left to a server on the same database


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@with_settings("data_dir", "database_url", "keep_executions", "keep_payloads", "log_format", "log_level")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def prune(dry_run: bool, as_json: bool, **options: str | None) -> None:
    """Delete now what the settings of retention no longer keep, as a server does in the background.

    Give it the settings of `faas serve`. The server may be running; the embedded Postgres of --data-dir is started if
    it is not. --dry-run counts rows, partitions and bytes, and deletes nothing.
    """
    chosen = settings.load(options)
    logs.configure(chosen.log_format, chosen.log_level)
    policy, found = asyncio.run(_prune(chosen, dry_run=dry_run))
    if as_json:
        print_json({"dryRun": dry_run, **_policy_json(policy), **msgspec.to_builtins(found)})
    elif isinstance(found, Forecast):
        click.echo(_kept(policy))
        _print_forecast(found)
    else:
        click.echo(_kept(policy))
        click.echo(_summarize(found))


COMMANDS: dict[str, click.Command] = {"prune": prune}


async def _prune(chosen: Settings, *, dry_run: bool) -> tuple[Policy, Forecast | RunResult]:
    async with existing_database(chosen, "faas prune") as connection:
        if not await queries.has_partitions(connection):
            raise ConfigurationError("the database is not migrated to this version of faas: run `faas migrate` first")
        state = await queries.get_state(connection)
        policy = policy_of(chosen, keeps_all=state.keeps_all)
        if dry_run:
            return policy, await forecast(connection, policy)
        return policy, await _run(connection, policy)


async def _run(connection: Connection, policy: Policy) -> RunResult:
    deadline = time.monotonic() + _LOCK_TIMEOUT_SECONDS
    while True:
        async with advisory_lock(connection) as locked:
            if locked:
                return await run_once(connection, policy, Pacer(_PAUSE_FACTOR))
        if time.monotonic() > deadline:
            raise ConfigurationError("another process prunes this database; try again later")
        await asyncio.sleep(0.2)


def _kept(policy: Policy) -> str:
    executions = "all" if policy.executions is None else format_duration(policy.executions.total_seconds())
    payloads = "as long as executions"
    if policy.payloads is not None and policy.clears_payloads:
        payloads = format_duration(policy.payloads.total_seconds())
    return f"kept: executions {executions}, payloads {payloads}"


def _policy_json(policy: Policy) -> dict[str, float | None]:
    return {
        "keepExecutionsSeconds": policy.executions.total_seconds() if policy.executions else None,
        "keepPayloadsSeconds": policy.payloads.total_seconds() if policy.payloads else None,
    }


def _print_forecast(found: Forecast) -> None:
    rows: list[tuple[str, queries.SizeRow]] = [
        (
            f"partition {partition.name}" + (" (stays: an execution in it is RUNNING)" if partition.running else ""),
            partition.size,
        )
        for partition in found.partitions
    ]
    rows += [
        ("executions outside of expired partitions", found.executions),
        ("payloads", found.payloads),
        ("executions of deleted functions", found.executions_of_deleted_functions),
        ("archived messages of compilation_jobs", found.archived_jobs),
        ("archived messages of compilation_results", found.archived_results),
    ]
    print_table(
        ["ROWS", "BYTES", "WOULD BE DELETED"], [(f"{size.rows:,}", _size(size.bytes), what) for what, size in rows]
    )


def _size(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MiB"


def _summarize(result: RunResult) -> str:
    counts: Sequence[tuple[int, str]] = (
        (len(result.dropped), "partitions"),
        (result.deleted, "executions outside of expired partitions"),
        (result.cleared, "payloads"),
        (result.deleted_of_functions, "executions of deleted functions"),
        (result.deleted_messages, "archived messages"),
    )
    removed = [f"{count:,} {what}" for count, what in counts if count]
    return f"deleted {', '.join(removed)}" if removed else "nothing to delete"

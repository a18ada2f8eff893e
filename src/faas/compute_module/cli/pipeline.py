"""`faas pipeline`: enrich a table of e-mail addresses, from file to file or in Foundry."""

import asyncio
import signal
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console

from faas.compute_module.cli.setting_options import command_with_variables, setting_options
from faas.compute_module.errors import RunFailed, RunStopped
from faas.compute_module.foundry.calls import Calls
from faas.compute_module.foundry.client import FoundryClient
from faas.compute_module.foundry.environment import read_environment, read_keep_alive
from faas.compute_module.foundry.keep_alive import keep_alive
from faas.compute_module.foundry.run import FoundryRunSpec, run_foundry
from faas.compute_module.logs import configure_redacted_logs
from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.enrichers.factory import create_enricher
from faas.compute_module.pipeline.local import run_local
from faas.compute_module.pipeline.progress import show_progress
from faas.compute_module.pipeline.tally import Tally
from faas.compute_module.redaction import redact_message
from faas.compute_module.settings import (
    FoundryRunSettings,
    FoundryVariables,
    GeminiVariables,
    RunSettings,
    load_settings,
)
from faas.errors import ConfigurationError, FaasError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
Run = Callable[[Tally], Coroutine[Any, Any, None]]
_TABLE_FILE = click.Path(path_type=Path)


@click.group("pipeline")
def pipeline() -> None:
    """Enrich a table of e-mail addresses, each address once.

    Exit codes: 0 success, also when rows have status=error; 1 the run failed; 2 a setting, or a file that it names, is
    wrong.
    """


@pipeline.command("local", cls=command_with_variables(GeminiVariables))
@click.option("--input", "source", required=True, type=_TABLE_FILE, help="CSV, or JSON Lines (.jsonl).")
@click.option("--output", "target", required=True, type=_TABLE_FILE, help="CSV, or JSON Lines (.jsonl).")
@setting_options(RunSettings)
def local(source: Path, target: Path, **options: str | None) -> None:
    """Read a file and write a file."""
    _check_proxy_variables()
    settings = load_settings(RunSettings, options)
    enricher = create_enricher(settings)

    async def run(tally: Tally) -> None:
        await run_local(source, target, enricher, settings, tally)

    _execute(run, enricher)


@pipeline.command("foundry", cls=command_with_variables(FoundryVariables, GeminiVariables))
@setting_options(FoundryRunSettings, RunSettings)
def foundry(**options: str | None) -> None:
    """Run as a compute module in Foundry: read a dataset, write a dataset or a stream.

    With GET_JOB_URI and POST_RESULT_URI the process answers jobs until it gets SIGTERM (keep-alive).
    """
    _check_proxy_variables()
    settings = load_settings(RunSettings, options)
    output = load_settings(FoundryRunSettings, options)
    variables = load_settings(FoundryVariables)
    environment = read_environment(variables)
    foundry_run = FoundryRunSpec(
        source=environment.resolve_alias(output.input_alias),
        target=environment.resolve_alias(output.output_alias),
        write_mode=output.output_write_mode,
        filename=output.output_filename,
    )
    keep_alive_settings = read_keep_alive(variables)
    enricher = create_enricher(settings)

    async def run(tally: Tally) -> None:
        async with Calls(environment) as calls:
            await run_foundry(foundry_run, FoundryClient(environment, calls), enricher, settings, tally)

    async def stay(_tally: Tally) -> None:
        if keep_alive_settings is not None:
            click.echo("staying up to answer jobs; SIGTERM ends it", err=True)
            await asyncio.Event().wait()

    async def background(body: Coroutine[Any, Any, None]) -> None:
        async with keep_alive(keep_alive_settings):
            await body

    _execute(run, enricher, stay, background)


def _check_proxy_variables() -> None:
    """Raise ConfigurationError when the proxy variables are wrong: httpx reads them when it creates a client."""
    try:
        httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        reason = redact_message(str(error))
        raise ConfigurationError(f"HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY: {reason}") from None


async def _nothing(_tally: Tally) -> None:
    pass


async def _alone(body: Coroutine[Any, Any, None]) -> None:
    await body


def _execute(
    run: Run,
    enricher: Enricher,
    stay: Run = _nothing,
    background: Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]] = _alone,
) -> None:
    """Run to the end, a failure or a signal, and say what came of it. Raises RunFailed."""
    configure_redacted_logs()
    asyncio.run(background(_supervise(run, enricher, stay)))


async def _supervise(run: Run, enricher: Enricher, stay: Run) -> None:
    tally = Tally()
    ended = False

    async def whole() -> None:
        nonlocal ended
        async with show_progress(tally, Console(stderr=True), lambda line: click.echo(line, err=True)):
            await run(tally)
        ended = True
        click.echo(tally.line())
        click.echo(f"written: {tally.written}")
        await stay(tally)

    try:
        stopped_by = await _until_signal(whole())
    except RunFailed as failure:
        raise RunFailed(_ending(redact_message(str(failure)), tally)) from None
    except FaasError:
        raise
    except Exception as error:  # noqa: BLE001 - the edge: no path prints what an exception holds as it is
        raise RunFailed(_ending(f"{type(error).__name__}: {redact_message(str(error))}", tally)) from None
    finally:
        await enricher.aclose()
    if stopped_by and not ended:
        raise RunFailed(_ending(str(RunStopped(stopped_by)), tally))


def _ending(reason: str, tally: Tally) -> str:
    done = f"{tally.done} of {tally.pending} addresses were done; " if tally.rows else ""
    return f"{reason} ({done}written: {tally.written})"


async def _until_signal(work: Coroutine[Any, Any, None]) -> str | None:
    """Let `work` run; the name of the signal that stopped it, or None. A second signal does what signals do."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    received: list[str] = []

    def stop(number: signal.Signals) -> None:
        received.append(number.name)
        for each in _SIGNALS:
            loop.remove_signal_handler(each)
        task.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not received:
            raise
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
    return received[0] if received else None


COMMANDS: dict[str, click.Command] = {"pipeline": pipeline}

"""`faas pipeline`: a table of e-mail addresses enriched, file to file or in Foundry."""

import asyncio
import signal
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import httpx
from rich.console import Console

from faas.compute_module.errors import RunFailed, RunStopped
from faas.compute_module.foundry.calls import Calls
from faas.compute_module.foundry.client import FoundryClient
from faas.compute_module.foundry.environment import read_environment, read_keep_alive
from faas.compute_module.foundry.keep_alive import keep_alive
from faas.compute_module.foundry.run import Job, WriteMode, run_foundry
from faas.compute_module.logs import configure_redacted_logs
from faas.compute_module.pipeline.enrichers.choice import NAMES, choose_enricher
from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.local import run_local
from faas.compute_module.pipeline.progress import show_progress
from faas.compute_module.pipeline.settings import SETTINGS, Settings, environment, load
from faas.compute_module.pipeline.tally import Tally
from faas.compute_module.redaction import redact_message
from faas.errors import ConfigurationError, FaasError

_FLAGS = {"fail_fast", "capture_audit"}
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
Command = TypeVar("Command", bound=Callable[..., Any])
Run = Callable[[Tally], Coroutine[Any, Any, None]]


def _run_options(command: Command) -> Command:
    """The options that both commands have: the table of docs/compute-module/README.md."""
    for setting in reversed(SETTINGS):
        about = ", ".join(filter(None, (setting.variable, setting.default)))
        help_text = f"{setting.description[0].upper()}{setting.description[1:]}. [{about}]"
        if setting.name in _FLAGS:
            option = f"{setting.option}/--no-{setting.option.removeprefix('--')}"
            command = click.option(option, setting.name, default=None, help=help_text)(command)
        else:
            command = click.option(setting.option, setting.name, metavar="VALUE", help=help_text)(command)
    command = click.option("--function", metavar="NAME", help="The deployed function to call.")(command)
    return click.option(
        "--enricher", type=click.Choice(NAMES), default="gemini", show_default=True, help="Who is asked."
    )(command)


@click.group("pipeline")
def pipeline() -> None:
    """Enrich a table of e-mail addresses, each address once.

    Exit codes: 0 done, also when rows have status=error; 1 the run failed; 2 a setting, or a file that it names, is
    wrong.
    """


@pipeline.command("local")
@click.option("--input", "source", required=True, type=click.Path(path_type=Path), help="CSV, or JSON Lines (.jsonl).")
@click.option("--output", "target", required=True, type=click.Path(path_type=Path), help="CSV, or JSON Lines (.jsonl).")
@_run_options
def local(source: Path, target: Path, enricher: str, function: str | None, **options: str | bool | None) -> None:
    """Read a file, write a file."""
    settings = _load(options)
    chosen = choose_enricher(enricher, settings, function, environment())

    async def run(tally: Tally) -> None:
        await run_local(source, target, chosen, settings, tally)

    _execute(run, chosen)


@pipeline.command("foundry")
@click.option("--input-alias", default="input", show_default=True, help="The alias of what is read.")
@click.option("--output-alias", default="output", show_default=True, help="The alias of what is written.")
@click.option("--output-filename", default="enriched.csv", show_default=True, help="The name of the file in a dataset.")
@click.option(
    "--output-write-mode",
    type=click.Choice(["auto", "dataset", "stream"]),
    default="auto",
    show_default=True,
    help="What the output is; auto asks the stream-proxy.",
)
@_run_options
def foundry(
    *,
    input_alias: str,
    output_alias: str,
    output_filename: str,
    output_write_mode: WriteMode,
    enricher: str,
    function: str | None,
    **options: str | bool | None,
) -> None:
    """Run as a compute module: read a dataset, write a dataset or a stream.

    Where Foundry is comes from FOUNDRY_URL or FOUNDRY_SERVICE_DISCOVERY_V2, the token from the file BUILD2_TOKEN, and
    what the aliases stand for from the file RESOURCE_ALIAS_MAP.
    """
    settings = _load(options)
    place = read_environment()
    job = Job(place.dataset(input_alias), place.dataset(output_alias), output_write_mode, _filename(output_filename))
    jobs = read_keep_alive()
    chosen = choose_enricher(enricher, settings, function, environment())

    async def run(tally: Tally) -> None:
        async with Calls(place) as calls:
            await run_foundry(job, FoundryClient(place, calls), chosen, settings, tally)

    async def stay(_tally: Tally) -> None:
        if jobs is not None:
            click.echo("staying up to answer jobs; SIGTERM ends it", err=True)
            await asyncio.Event().wait()

    async def background(body: Coroutine[Any, Any, None]) -> None:
        async with keep_alive(jobs):
            await body

    _execute(run, chosen, stay, background)


def _filename(name: str) -> str:
    if not name.strip("/ ") or any(part in {"", ".", ".."} for part in name.split("/")):
        raise click.BadParameter(f"{name!r} is not the path of a file in a dataset", param_hint="--output-filename")
    return name


def _load(options: dict[str, str | bool | None]) -> Settings:
    _check_proxies()
    return load({name: str(value).lower() if isinstance(value, bool) else value for name, value in options.items()})


def _check_proxies() -> None:
    """Raises ConfigurationError when no HTTP client can be made, which is when the environment names a wrong proxy."""
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

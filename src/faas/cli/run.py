"""The command `faas run`: compiles and executes a function without a server."""

import asyncio
import hashlib
import statistics
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import msgspec

from faas import logs, settings
from faas.bootstrap import open_local_runtime
from faas.bootstrap.compilers import LocalRuntime
from faas.cli.bundle import Source, load_source
from faas.cli.function_settings import change_settings, function_setting_options, read_changes
from faas.cli.output import print_document, print_text
from faas.cli.project_file import Project, find_project
from faas.cli.sources import LANGUAGES, language_of, read_input
from faas.compile.outcome import CompileFailure
from faas.compile.surroundings import Surroundings
from faas.errors import ConfigurationError, FaasError, InvalidRequest
from faas.executions.reach import NO_FUNCTION, reach_of
from faas.function_settings import FunctionSettings, check_settings
from faas.languages import Language
from faas.outbound import OutboundClient
from faas.runtime import Outcome, Reach
from faas.sandbox import WorkerDied
from faas.secret_store.model import ResolvedSecret
from faas.settings import Settings
from faas.units import format_size


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--input", "source", metavar="JSON|@FILE|-", default="{}", help="The input: a JSON object, a file, or stdin."
)
@click.option("--language", type=click.Choice(LANGUAGES), help="[default: by the file extension]")
@function_setting_options(removals=False)
@click.option("--repeat", type=click.IntRange(1), help="Execute it N times and report the durations.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def run(file: Path, source: str, language: Language | None, repeat: int | None, as_json: bool, **options: Any) -> int:
    """Compile FILE and execute it once, in the sandbox and with the limits of a server. Nothing is recorded.

    FILE may be a folder with a faas.toml. The value of a secret is that of the environment variable of its name. The
    logs of the execution go to stderr. Exits with 1 when FILE does not compile or the execution fails.
    """
    chosen = settings.load({})
    logs.configure("console", "error")
    document = read_input(source)
    _check_size(document, chosen.input_limit)
    project = find_project(file) or Project(path=file, file=file)
    function_settings = _settings_of(chosen, change_settings(project.settings, read_changes(options)))
    secrets = {name: ResolvedSecret(_secret_value(name), ()) for name in function_settings.secrets}
    loaded = load_source(project.file, language or project.language or language_of(project.file))
    outcome, seconds = asyncio.run(_run(chosen, loaded, document, repeat, function_settings, secrets))
    if as_json:
        # msgspec.Raw embeds the output unchanged, which preserves its numbers and key order.
        print_document(msgspec.json.encode(_to_json_object(outcome, seconds if repeat else [])).decode())
    else:
        if outcome.logs:
            print_text(outcome.logs, dim=True, err=True)
        if outcome.error is None and outcome.output is not None:
            print_document(outcome.output.decode())
        else:
            print_text(outcome.error or "", fg="red", err=True)
        if repeat:
            figures = ", ".join(f"{name} {value * 1e6:.0f} µs" for name, value in _summary(seconds).items())
            click.echo(f"{len(seconds)} calls: {figures}", err=True)
    return int(outcome.error is not None)


COMMANDS: dict[str, click.Command] = {"run": run}


def _check_size(document: bytes, limit: int) -> None:
    if len(document) > limit:
        raise ConfigurationError(f"--input: {len(document)} bytes; the limit is {format_size(limit)}")


def _settings_of(chosen: Settings, given: dict[str, Any]) -> FunctionSettings:
    """Return the settings of the function. Raises ConfigurationError."""
    try:
        found = msgspec.convert(given, FunctionSettings)
        check_settings(found, max_time=chosen.time_limit, max_memory=chosen.memory_limit)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"settings: {error}") from None
    except InvalidRequest as error:
        raise ConfigurationError(str(error)) from None
    return found


def _secret_value(name: str) -> str:
    value = settings.program_environment().get(name)
    if value is None:
        raise ConfigurationError(f"--secret {name}: set the environment variable {name} to the value for this run")
    return value


async def _run(
    chosen: Settings,
    loaded: Source,
    document: bytes,
    repeat: int | None,
    function_settings: FunctionSettings,
    secrets: Mapping[str, ResolvedSecret],
) -> tuple[Outcome, list[float]]:
    """Return the outcome of the last execution and the duration of each in seconds, none if compilation failed."""
    with closing(OutboundClient()) as outbound:
        async with open_local_runtime(chosen) as local:
            reach = reach_of(outbound, NO_FUNCTION, function_settings, secrets)
            try:
                return await _execute(local, loaded, document, repeat, function_settings, reach)
            except WorkerDied as died:
                raise FaasError(f"{died}; try again") from None


async def _execute(
    local: LocalRuntime,
    loaded: Source,
    document: bytes,
    repeat: int | None,
    function_settings: FunctionSettings,
    reach: Reach,
) -> tuple[Outcome, list[float]]:
    surroundings = Surroundings(function_settings.env, function_settings.secrets)
    compiled = await local.compilers[loaded.language].compile(loaded.text, surroundings)
    if isinstance(compiled, CompileFailure):
        return Outcome(error=compiled.diagnostics), []
    if fault := await local.runtime.check(compiled.binary):
        return Outcome(error=fault), []

    async def load() -> bytes:
        return compiled.binary

    digest = hashlib.sha256(compiled.binary).digest()
    limits = local.runtime.limits.narrowed(function_settings.limits.time, function_settings.limits.memory)
    outcome, seconds = Outcome(), []
    for _ in range(repeat or 1):
        began = time.perf_counter()
        outcome = await local.runtime.run(digest, load, document, limits, reach=reach)
        seconds.append(time.perf_counter() - began)
    return outcome, seconds


def _summary(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {"median": statistics.median(ordered), "p99": ordered[int(len(ordered) * 0.99)]} if ordered else {}


def _to_json_object(outcome: Outcome, seconds: list[float]) -> dict[str, object]:
    described: dict[str, object] = {
        "status": "FAILED" if outcome.error else "COMPLETED",
        "output": None if outcome.output is None else msgspec.Raw(outcome.output),
        "errorMessage": outcome.error,
        "logs": outcome.logs,
    }
    if seconds:
        described |= {"calls": len(seconds), "callSeconds": _summary(seconds)}
    return described

"""The command `faas run`: compiles and executes a function without a server."""

import asyncio
import hashlib
import statistics
import time
from pathlib import Path

import click
import msgspec

from faas import logs, settings
from faas.bootstrap import open_local_runtime
from faas.cli.bundle import load_source
from faas.cli.output import print_document, print_text
from faas.cli.sources import LANGUAGES, language_of, read_input
from faas.compile.outcome import CompileFailure
from faas.errors import ConfigurationError
from faas.languages import Language
from faas.runtime import Outcome
from faas.settings import Settings
from faas.units import format_size


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--input", "source", metavar="JSON|@FILE|-", default="{}", help="The input: a JSON object, a file, or stdin."
)
@click.option("--language", type=click.Choice(LANGUAGES), help="[default: by the file extension]")
@click.option("--repeat", type=click.IntRange(1), help="Execute it N times and report the durations.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def run(file: Path, source: str, language: Language | None, repeat: int | None, as_json: bool) -> int:
    """Compile FILE and execute it once, in the sandbox and with the limits of a server. Nothing is recorded.

    The logs of the execution go to stderr. Exits with 1 when FILE does not compile or the execution fails.
    """
    chosen = settings.load({})
    logs.configure("console", "error")
    document = read_input(source)
    _check_size(document, chosen.input_limit)
    loaded = load_source(file, language or language_of(file))
    outcome, seconds = asyncio.run(_run(chosen, loaded.language, loaded.text, document, repeat))
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


async def _run(
    chosen: Settings, language: str, source: str, document: bytes, repeat: int | None
) -> tuple[Outcome, list[float]]:
    """Return the outcome of the last execution and the duration of each in seconds, none if compilation failed."""
    async with open_local_runtime(chosen) as local:
        compiled = await local.compilers[language].compile(source)
        if isinstance(compiled, CompileFailure):
            return Outcome(error=compiled.diagnostics), []
        if fault := await local.runtime.check(compiled.binary):
            return Outcome(error=fault), []

        async def load() -> bytes:
            return compiled.binary

        digest = hashlib.sha256(compiled.binary).digest()
        outcome, seconds = Outcome(), []
        for _ in range(repeat or 1):
            began = time.perf_counter()
            outcome = await local.runtime.run(digest, load, document)
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

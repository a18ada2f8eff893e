"""`faas pipeline`: enrich a table of e-mail addresses, from file to file or in Foundry."""

import ssl
from pathlib import Path

import click
import httpx

from faas.compute_module.cli.setting_options import command_with_variables, setting_options
from faas.compute_module.cli.supervisor import supervise
from faas.compute_module.foundry.client import FoundryClient
from faas.compute_module.foundry.environment import read_environment, read_keep_alive
from faas.compute_module.foundry.http_client import FoundryHttpClient
from faas.compute_module.foundry.run import FoundryRunSpec, run_foundry
from faas.compute_module.pipeline.enrichers.factory import create_enricher
from faas.compute_module.pipeline.local_run import run_local
from faas.compute_module.pipeline.run_progress import RunProgress
from faas.compute_module.redaction import redact_message
from faas.compute_module.settings import (
    FaasVariables,
    FoundryRunSettings,
    FoundryVariables,
    GeminiVariables,
    RunSettings,
    load_settings,
)
from faas.errors import ConfigurationError

_TABLE_FILE = click.Path(path_type=Path)


@click.group("pipeline")
def pipeline() -> None:
    """Enrich a table of e-mail addresses, each address once.

    Exit codes: 0 success, also when rows have status=error; 1 the run failed; 2 a setting, or a file that it names, is
    wrong.
    """


@pipeline.command("local", cls=command_with_variables(FaasVariables, GeminiVariables))
@click.option("--input", "source", required=True, type=_TABLE_FILE, help="CSV, or JSON Lines (.jsonl).")
@click.option("--output", "target", required=True, type=_TABLE_FILE, help="CSV, or JSON Lines (.jsonl).")
@setting_options(RunSettings)
def local(source: Path, target: Path, **options: str | None) -> None:
    """Read a file and write a file."""
    _check_proxy_variables()
    settings = load_settings(RunSettings, options)
    enricher = create_enricher(settings)

    async def run(progress: RunProgress) -> None:
        await run_local(source, target, enricher, settings, progress)

    supervise(run, enricher)


@pipeline.command("foundry", cls=command_with_variables(FoundryVariables, FaasVariables, GeminiVariables))
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
    spec = FoundryRunSpec(
        source=environment.resolve_alias(output.input_alias),
        target=environment.resolve_alias(output.output_alias),
        write_mode=output.output_write_mode,
        filename=output.output_filename,
    )
    keep_alive_settings = read_keep_alive(variables)
    enricher = create_enricher(settings)

    async def run(progress: RunProgress) -> None:
        async with FoundryHttpClient(environment) as http:
            await run_foundry(spec, FoundryClient(environment, http), enricher, settings, progress)

    supervise(run, enricher, keep_alive_settings)


def _check_proxy_variables() -> None:
    """Raise ConfigurationError when the proxy variables are wrong: httpx reads them when it creates a client."""
    try:
        httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        reason = redact_message(str(error))
        raise ConfigurationError(f"HTTP_PROXY, HTTPS_PROXY, ALL_PROXY or NO_PROXY: {reason}") from None


COMMANDS: dict[str, click.Command] = {"pipeline": pipeline}

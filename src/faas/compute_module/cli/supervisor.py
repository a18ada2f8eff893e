"""One run from its start to its exit message: progress, signals, keep-alive, failures."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import click
from rich.console import Console

from faas.compute_module.cli.stop_signal import StopSignal
from faas.compute_module.errors import RunFailed
from faas.compute_module.foundry.environment import KeepAliveSettings
from faas.compute_module.foundry.keep_alive import keep_alive
from faas.compute_module.logs import configure_redacted_logs
from faas.compute_module.pipeline.enrichers.enricher import Enricher
from faas.compute_module.pipeline.progress_display import show_progress
from faas.compute_module.pipeline.run_progress import RunProgress
from faas.compute_module.redaction import redact_message
from faas.errors import FaasError

Run = Callable[[RunProgress], Coroutine[Any, Any, None]]


def supervise(run: Run, enricher: Enricher, keep_alive_settings: KeepAliveSettings | None = None) -> None:
    """Execute `run` and print its counts; with a keep-alive, stay up after a success until a signal is received.

    Raises RunFailed, with what had been written, when the run fails or a signal ends it. Closes `enricher`.
    """
    configure_redacted_logs()
    asyncio.run(_supervise(run, enricher, keep_alive_settings))


async def _supervise(run: Run, enricher: Enricher, keep_alive_settings: KeepAliveSettings | None) -> None:
    progress = RunProgress()
    async with keep_alive(keep_alive_settings), _closing(enricher):
        with StopSignal() as stop_signal:
            try:
                async with show_progress(progress, Console(stderr=True), lambda line: click.echo(line, err=True)):
                    await stop_signal.run(run(progress))
            except RunFailed as failure:
                raise RunFailed(_exit_message(redact_message(str(failure)), progress)) from None
            except FaasError:
                raise
            except Exception as error:  # noqa: BLE001 - the message of an unexpected exception may contain a secret
                reason = f"{type(error).__name__}: {redact_message(str(error))}"
                raise RunFailed(_exit_message(reason, progress)) from None
            click.echo(progress.summary())
            click.echo(f"written: {progress.written}")
            if keep_alive_settings is not None:
                click.echo("staying up to answer jobs; SIGTERM ends it", err=True)
                await stop_signal.wait()


@asynccontextmanager
async def _closing(enricher: Enricher) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await enricher.aclose()


def _exit_message(reason: str, progress: RunProgress) -> str:
    done = f"{progress.done} of {progress.pending} addresses were done; " if progress.rows else ""
    return f"{reason} ({done}written: {progress.written})"

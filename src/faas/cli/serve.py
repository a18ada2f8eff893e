"""`faas serve` and `faas migrate`."""

import asyncio
import contextlib
import errno
import gc
import io
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Any

import click
import uvicorn
import uvloop

from faas import __version__, logs, settings
from faas.bootstrap import Service, open_database, open_service
from faas.cli.setting_options import with_settings
from faas.errors import ConfigurationError
from faas.settings import Settings

_BACKLOG = 2048
_COLLECTED_AFTER = 10_000  # objects more than there were
_ROLES = {
    "api": "what is registered here is compiled by other processes on the same database",
    "compiler": "compiles for the processes on the same database; here are /health and /metrics",
}


@click.command()
@with_settings()
def serve(**options: str | None) -> None:
    """Serve the platform over HTTP, with an embedded Postgres unless --database-url names another.

    To compile on other machines, give all of them one --database-url: --role api here, --role compiler there.

    Ctrl-C or SIGTERM drains: requests in flight finish, then everything stops. A second one stops at once.
    """
    chosen = settings.load(options)
    _outlive_readers()
    logs.configure(chosen.log_format, chosen.log_level)
    listening = _bind(chosen)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(chosen, listening))


@click.command()
@with_settings("data_dir", "database_url", "log_format", "log_level")
def migrate(**options: str | None) -> None:
    """Bring the database's schema up to date, and stop. `faas serve` does the same when it starts."""
    chosen = settings.load(options)
    logs.configure(chosen.log_format, chosen.log_level)

    async def run() -> list[str]:
        async with open_database(chosen) as (_, applied):
            return applied

    applied = asyncio.run(run())
    for name in applied:
        click.echo(f"applied {name}")
    click.echo(f"{len(applied)} migrations applied" if applied else "the schema is up to date")


COMMANDS: dict[str, click.Command] = {"serve": serve, "migrate": migrate}


class Persistent(io.FileIO):
    """Writes what can be written: a service goes on, and stops as it should, when nobody reads its log any more."""

    def write(self, data: Any, /) -> int:
        with contextlib.suppress(OSError):
            written = super().write(data)
            if written is not None:  # None: a pipe that is full and does not wait
                return written
        return len(data)


def _outlive_readers() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        raw = Persistent(stream.fileno(), "w", closefd=False)
        setattr(
            sys, name, io.TextIOWrapper(io.BufferedWriter(raw), stream.encoding, stream.errors, line_buffering=True)
        )


def _bind(chosen: Settings) -> socket.socket:
    """Listen before anything is started: a port in use is said at once."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            chosen.host, chosen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except UnicodeError:
        raise ConfigurationError(f"cannot listen on {chosen.host!r}: not a host name or an address") from None
    except OSError as error:
        hint = "; choose another with --port" if error.errno == errno.EADDRINUSE else ""
        raise ConfigurationError(f"cannot listen on {chosen.host}:{chosen.port}: {error.strerror}{hint}") from None
    listening.setblocking(False)
    return listening


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: ours cover the start and the end of everything, not of HTTP alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(chosen: Settings, listening: socket.socket) -> None:
    task = asyncio.current_task()
    assert task
    loop = asyncio.get_running_loop()
    server: _Server | None = None
    service: Service | None = None

    def stop() -> None:
        if server is None:  # still starting
            task.cancel()
        elif not server.should_exit:
            click.echo("faas: draining; once more to stop at once", err=True)
            server.should_exit = True
            if service:
                loop.call_later(chosen.shutdown_grace, service.runtime.interrupt)
        else:
            server.force_exit = True
            if service:
                service.runtime.interrupt()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        async with open_service(chosen) as service:
            server = _Server(
                uvicorn.Config(
                    service.application,
                    http=service.protocol,  # type: ignore[arg-type] # uvicorn calls it, and no more
                    lifespan="off",
                    ws="none",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    proxy_headers=False,  # nothing asks where a request came from
                    timeout_graceful_shutdown=int(chosen.shutdown_grace) + 2,
                    backlog=_BACKLOG,
                )
            )
            _greet(chosen, listening, service)
            # What is there now stays: the collector need not look at it again, nor as often as for a small program.
            gc.collect()
            gc.freeze()
            gc.set_threshold(_COLLECTED_AFTER, *gc.get_threshold()[1:])
            await server.serve(sockets=[listening])
        click.echo("faas: stopped", err=True)
    except asyncio.CancelledError:
        if server is not None:
            raise
        task.uncancel()
        click.echo("faas: stopped while starting", err=True)


def _greet(chosen: Settings, listening: socket.socket, service: Service) -> None:
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    place = "the database of --database-url" if chosen.database_url else f"{chosen.data_dir} (embedded Postgres)"
    lines = [
        click.style(f"faas {__version__}", bold=True) + f" serves {click.style(address, fg='cyan', underline=True)}",
        f"  data       {place}",
    ]
    if not chosen.database_url:
        lines.append(f"  psql       psql '{service.database_url}'")
    if chosen.role != "all":
        lines.insert(1, f"  role       {chosen.role}: {_ROLES[chosen.role]}")
    if chosen.role != "compiler":
        lines.insert(1, f"  API page   {address}/schema")
        url = "" if address == settings.DEFAULT_SERVER else f" --url {address}"
        lines.append(f"  next       {sys.argv[0]} deploy FILE{url}, then {sys.argv[0]} invoke NAME{url}")
    click.echo("\n".join(lines), err=True)

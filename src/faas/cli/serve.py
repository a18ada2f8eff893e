"""`faas serve` and `faas migrate`."""

import asyncio
import signal
import socket
import sys

import click
import uvloop

from faas import __version__, logs, settings
from faas.api.access import GateState
from faas.bootstrap import open_database, open_service
from faas.cli.setting_options import with_settings
from faas.server import uvicorn_internals
from faas.server.certificate import ServerCertificate
from faas.server.log_streams import ignore_broken_log_pipes
from faas.server.server import HttpServer, bind_socket, tune_garbage_collector
from faas.server.shutdown import GracefulShutdown
from faas.settings import Settings
from faas.supervisor import Announcements, supervise
from faas.supervisor.messages import Ready

_ROLES = {
    "api": "other processes on the same database compile the functions",
    "compiler": "compiles for the processes on the same database; serves /health and /metrics",
}


@click.command()
@with_settings()
def serve(**options: str | None) -> None:
    """Serve the API over HTTP, with an embedded Postgres unless --database-url names another.

    To compile on other machines, give all processes the same --database-url: --role api here, --role compiler there.

    Ctrl-C or SIGTERM shuts down gracefully: requests in flight finish, then everything stops. A second one stops
    immediately. With --tls-cert, SIGHUP loads the certificate and its key again.

    With --workers, that many processes serve, with one Postgres and one socket. SIGHUP then replaces them one by one,
    without refusing a connection; the new ones have loaded the certificate again.
    """
    chosen = settings.load(options)
    ignore_broken_log_pipes()
    logs.configure(chosen.log_format, chosen.log_level)
    uvicorn_internals.check_layout()
    certificate = _load_certificate(chosen)
    listening = bind_socket(chosen.host, chosen.port)
    if chosen.workers > 1:
        asyncio.run(_supervise(chosen, listening))
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(chosen, listening, certificate))


@click.command()
@with_settings("data_dir", "database_url", "log_format", "log_level")
def migrate(**options: str | None) -> None:
    """Apply the migrations that the database lacks, and stop. `faas serve` does the same when it starts."""
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


def _load_certificate(chosen: Settings) -> ServerCertificate | None:
    if chosen.tls_cert is None or chosen.tls_key is None:
        return None
    return ServerCertificate(chosen.tls_cert, chosen.tls_key)


async def _serve(chosen: Settings, listening: socket.socket, certificate: ServerCertificate | None) -> None:
    shutdown = GracefulShutdown(chosen.shutdown_grace, announce=_announce_shutdown)
    shutdown.handle_signals()
    if certificate:  # without one, SIGHUP ends the process, as when its terminal is closed
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, certificate.reload)
    try:
        async with open_service(chosen, shutdown, bound_address=listening.getsockname()[0]) as service:
            server = HttpServer(
                service.application,
                service.protocol,
                shutdown,
                ssl_context=certificate.context if certificate else None,
            )
            gate = service.gate
            _greet(chosen, listening, service.database_url, _describe_access(chosen, gate.state, gate.any_admitted))
            tune_garbage_collector()
            await server.serve_until_shutdown(listening, interrupt=service.runtime.interrupt)
        click.echo("faas: stopped", err=True)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if not shutdown.is_starting or task is None:
            raise
        task.uncancel()
        click.echo("faas: stopped while starting", err=True)


async def _supervise(chosen: Settings, listening: socket.socket) -> None:
    def greet(ready: Ready, database_url: str) -> None:
        _greet(chosen, listening, database_url, _describe_access(chosen, ready.gate, ready.any_admitted))

    try:
        await supervise(chosen, listening, Announcements(greet, _announce_shutdown))
        click.echo("faas: stopped", err=True)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None:
            raise
        task.uncancel()
        click.echo("faas: stopped while starting", err=True)


def _announce_shutdown() -> None:
    click.echo("faas: shutting down gracefully; press Ctrl-C again to stop immediately", err=True)


def _greet(chosen: Settings, listening: socket.socket, database_url: str, access: str) -> None:
    host, port = listening.getsockname()[:2]
    scheme = "https" if chosen.tls_cert else "http"
    address = f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
    place = "the database of --database-url" if chosen.database_url else f"{chosen.data_dir} (embedded Postgres)"
    lines = [
        click.style(f"faas {__version__}", bold=True) + f" serves {click.style(address, fg='cyan', underline=True)}",
        f"  data       {place}",
        f"  access     {access}",
    ]
    if not chosen.database_url:
        lines.append(f"  psql       psql '{database_url}'")
    if chosen.workers > 1:
        lines.insert(1, f"  workers    {chosen.workers} processes; SIGHUP replaces them one by one")
    if chosen.role != "all":
        lines.insert(1, f"  role       {chosen.role}: {_ROLES[chosen.role]}")
    if chosen.role != "compiler":
        lines.insert(1, f"  API page   {address}/schema")
        url = "" if address == settings.DEFAULT_SERVER else f" --url {address}"
        lines.append(f"  next       {sys.argv[0]} deploy FILE{url}, then {sys.argv[0]} invoke NAME{url}")
    click.echo("\n".join(lines), err=True)


def _describe_access(chosen: Settings, state: GateState, any_admitted: bool) -> str:
    if state == "tokens" and any_admitted:
        return "by token"
    if state == "off":
        return "off: every client may do everything"
    place = ""
    if chosen.database_url:
        place = " --database-url URL"
    elif chosen.data_dir != settings.default_data_dir():
        place = f" --data-dir {chosen.data_dir}"
    present = "by token, and there is none" if state == "tokens" else "open to this machine, until there is a token"
    return f"{present}: {sys.argv[0]} token create NAME --scope admin{place}"

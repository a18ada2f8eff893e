"""`faas mock-foundry`: the stand-in on a port."""

import contextlib
import signal
import socket
from pathlib import Path

import click
import uvicorn

from faas.compute_module.foundry.environment import read_mock_settings
from faas.compute_module.logs import configure_redacted_logs
from faas.compute_module.mock_foundry.app import MockFoundry
from faas.errors import ConfigurationError


@click.command("mock-foundry")
@click.option(
    "--addr", metavar="HOST:PORT", help="Listen here; port 0 takes a free one. [MOCK_FOUNDRY_ADDR, 127.0.0.1:8081]"
)
@click.option(
    "--input-dir", metavar="FOLDER", help="Datasets begin with <rid>.csv in it. [MOCK_FOUNDRY_INPUT_DIR, inputs]"
)
@click.option(
    "--upload-dir", metavar="FOLDER", help="Uploads and commits are kept in it. [MOCK_FOUNDRY_UPLOAD_DIR, uploads]"
)
@click.option("--stream-rids", metavar="RID,…", help="These are streams. [MOCK_FOUNDRY_STREAM_RIDS]")
@click.option("--token", help="The APIs need this bearer token. [MOCK_FOUNDRY_TOKEN]")
def mock_foundry(**options: str | None) -> None:
    """Serve a stand-in for Foundry's datasets and streams, for local work and tests.

    What was called, uploaded and published is shown under /__debug/calls, /__debug/uploads and /__debug/streams.
    """
    configure_redacted_logs()
    settings = read_mock_settings(options)
    app = MockFoundry(
        inputs=settings.input_dir,
        uploads=settings.upload_dir,
        stream_rids=settings.stream_rids,
        token=settings.token,
    )
    listener = _listen(settings.host, settings.port)
    _describe(app, settings.input_dir, listener)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2))
    # uvicorn stops on SIGTERM and then raises it again; for this command being stopped is the ordinary end
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigurationError(f"--addr {host}:{port}: {error.strerror}") from None
    except UnicodeError:
        raise ConfigurationError(f"--addr {host}:{port}: not the name of a host") from None
    return listener


def _describe(app: MockFoundry, inputs: Path | None, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    click.echo(f"mock Foundry on http://{f'[{host}]' if ':' in host else host}:{port}")
    files = app.datasets.disk.input_files()
    click.echo(f"inputs in {inputs}:" if files else f"no inputs in {inputs} (a dataset's is <rid>.csv)")
    for file in files:
        click.echo(f"  {file.stem}  {file.stat().st_size} bytes")
    click.echo(f"uploads go to {app.datasets.disk.uploads}")
    click.echo("streams:" if app.streams.records else "no streams (--stream-rids names them)")
    for rid in app.streams.records:
        click.echo(f"  {rid}")


COMMANDS: dict[str, click.Command] = {"mock-foundry": mock_foundry}

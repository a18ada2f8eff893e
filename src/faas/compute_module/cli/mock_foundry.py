"""`faas mock-foundry`: the mock Foundry on a port."""

import contextlib
import signal
import socket

import click
import uvicorn

from faas.compute_module.cli.setting_options import setting_options
from faas.compute_module.logs import configure_redacted_logs
from faas.compute_module.mock_foundry.app import MockFoundry
from faas.compute_module.setting_types import ListenAddress
from faas.compute_module.settings import MockFoundrySettings, load_settings
from faas.errors import ConfigurationError

_BACKLOG = 128  # connections
_SHUTDOWN_SECONDS = 2


@click.command("mock-foundry")
@setting_options(MockFoundrySettings)
def mock_foundry(**options: str | None) -> None:
    """Serve a mock of Foundry's datasets and streams, for local work and tests.

    The calls, uploads and records that it received are under /__debug/calls, /__debug/uploads and /__debug/streams.
    """
    configure_redacted_logs()
    given = {name: (text or "").strip() or None for name, text in options.items()}  # an empty option is not given
    settings = load_settings(MockFoundrySettings, given)
    app = MockFoundry(
        inputs=settings.input_dir,
        uploads=settings.upload_dir,
        stream_rids=settings.stream_rids,
        token=settings.token,
    )
    listener = _listen(settings.addr)
    _print_summary(app, settings, listener)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=_SHUTDOWN_SECONDS)
    )
    # uvicorn raises the signal that stopped it again after the shutdown. SIGTERM is the usual end of this command, so
    # it must lead to exit code 0.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listener])


def _listen(address: ListenAddress) -> socket.socket:
    try:
        family, kind, protocol, _, resolved = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(resolved)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigurationError(f"--addr {address}: {error.strerror}") from None
    except UnicodeError:
        raise ConfigurationError(f"--addr {address}: not the name of a host") from None
    return listener


def _print_summary(app: MockFoundry, settings: MockFoundrySettings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    click.echo(f"mock Foundry on http://{f'[{host}]' if ':' in host else host}:{port}")
    files = app.datasets.storage.input_files()
    folder = settings.input_dir
    click.echo(f"inputs in {folder}:" if files else f"no inputs in {folder} (a dataset's is <rid>.csv)")
    for file in files:
        click.echo(f"  {_printable(file.stem)}  {file.stat().st_size} bytes")
    click.echo(f"uploads go to {settings.upload_dir}")
    click.echo("streams:" if app.streams.records else "no streams (--stream-rids names them)")
    for rid in app.streams.records:
        click.echo(f"  {rid}")


def _printable(name: str) -> str:
    """Return the name of a file with escapes for control characters and for bytes that are not text."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in name
    )


COMMANDS: dict[str, click.Command] = {"mock-foundry": mock_foundry}

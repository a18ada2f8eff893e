"""A service in this process that serves a real port."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from faas.bootstrap import open_service
from faas.server.certificate import ServerCertificate
from faas.server.server import HttpServer
from faas.server.shutdown import GracefulShutdown
from faas.settings import Settings
from tests.helpers.certificates import CertificateFiles
from tests.helpers.connections import Connection, Port, small_buffer_socket
from tests.helpers.support import LOOP_WAT, Platform, core_wat

KEEP_ALIVE_SECONDS, TIME_LIMIT_SECONDS = 1, 1.5


@pytest.fixture
def port_settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,
        data_dir=tmp_path,
        time_limit=TIME_LIMIT_SECONDS,
        languages=("wat", "wasm"),
        database_pool=4,
    )


@pytest.fixture
async def port(port_settings: Settings) -> AsyncIterator[Port]:
    async with serving_port(port_settings) as found:
        yield found


@pytest.fixture
async def patient_port(port_settings: Settings) -> AsyncIterator[Port]:
    """Serve a port whose timers all take longer than a client of the tests waits."""
    async with serving_port(port_settings, keep_alive_seconds=60) as found:
        yield found


@pytest.fixture
def certificate_files(tmp_path: Path) -> CertificateFiles:
    return CertificateFiles.write(tmp_path)


@pytest.fixture
def server_certificate(certificate_files: CertificateFiles) -> ServerCertificate:
    return ServerCertificate(certificate_files.certificate, certificate_files.key)


@pytest.fixture
async def tls_port(
    port_settings: Settings, certificate_files: CertificateFiles, server_certificate: ServerCertificate
) -> AsyncIterator[Port]:
    async with serving_port(port_settings, server_certificate.context, certificate_files.client_context()) as found:
        yield found


@asynccontextmanager
async def serving_port(
    port_settings: Settings,
    server_context: ssl.SSLContext | None = None,
    client_context: ssl.SSLContext | None = None,
    *,
    keep_alive_seconds: int = KEEP_ALIVE_SECONDS,
) -> AsyncIterator[Port]:
    """Serve a real port, over TLS if there are contexts, with the functions echo, loop and broken."""
    shutdown = GracefulShutdown(port_settings.shutdown_grace)
    async with open_service(port_settings, shutdown) as service:

        async def application(scope: Any, receive: Any, send: Any) -> None:
            found.application_paths.append(scope["path"])
            await service.application(scope, receive, send)

        listening = small_buffer_socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # a client that connects before the server accepts waits
        found = Port(listening.getsockname()[1], client_context)
        server = HttpServer(
            application,
            service.protocol,
            shutdown,
            keep_alive_seconds=keep_alive_seconds,
            ssl_context=server_context,
        )
        serving = asyncio.create_task(server.serve_until_shutdown(listening, interrupt=service.runtime.interrupt))
        scheme = "https" if server_context else "http"
        async with httpx.AsyncClient(
            base_url=f"{scheme}://127.0.0.1:{found.number}",
            trust_env=False,
            timeout=30,
            verify=client_context or True,
        ) as http:
            platform = Platform(http, None)  # type: ignore[arg-type]
            await platform.deploy("echo", core_wat())
            await platform.deploy("loop", LOOP_WAT)
            await platform.register("broken", "(module", "wat")
            await platform.settled("broken")
        found.application_paths.clear()
        yield found
        shutdown.request()
        await serving


@pytest.fixture
async def connection(port: Port) -> AsyncIterator[Connection]:
    opened = await port.connect()
    yield opened
    await opened.close()

"""A service in this process that serves a real port."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from faas.bootstrap import open_service
from faas.server.server import HttpServer
from faas.server.shutdown import GracefulShutdown
from faas.settings import Settings
from tests.helpers.connections import Port, small_buffer_socket
from tests.helpers.support import LOOP_WAT, Platform, core_wat

KEEP_ALIVE_SECONDS, TIME_LIMIT_SECONDS = 1, 1.5


def settings_of_a_port(url: str, data_dir: Path) -> Settings:
    """Return settings of a small server on the database of `url`."""
    return Settings(
        database_url=url,
        data_dir=data_dir,
        time_limit=TIME_LIMIT_SECONDS,
        languages=("wat", "wasm"),
        database_pool=4,
    )


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
            limits=httpx.Limits(max_keepalive_connections=0),
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

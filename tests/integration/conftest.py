"""A service in this process that serves a real port."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from faas.bootstrap import open_service
from faas.server.server import HttpServer
from faas.server.shutdown import GracefulShutdown
from faas.settings import Settings
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
    shutdown = GracefulShutdown(port_settings.shutdown_grace)
    async with open_service(port_settings, shutdown) as service:

        async def application(scope: Any, receive: Any, send: Any) -> None:
            found.application_paths.append(scope["path"])
            await service.application(scope, receive, send)

        listening = small_buffer_socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # a client that connects before the server accepts waits
        found = Port(listening.getsockname()[1])
        server = HttpServer(application, service.protocol, shutdown, keep_alive_seconds=KEEP_ALIVE_SECONDS)
        serving = asyncio.create_task(server.serve_until_shutdown(listening, interrupt=service.runtime.interrupt))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{found.number}", trust_env=False, timeout=30) as http:
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

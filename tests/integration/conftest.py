"""A server in this process on a real port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from faas.bootstrap import open_service
from faas.settings import Settings
from tests.helpers.connections import Connection, Port, small_socket
from tests.helpers.support import LOOP_WAT, Platform, core_wat

KEEP_ALIVE, TIME_LIMIT = 1, 1.5  # seconds


@pytest.fixture
def port_settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url, data_dir=tmp_path, time_limit=TIME_LIMIT, languages=("wat", "wasm"), database_pool=4
    )


@pytest.fixture
async def port(port_settings: Settings) -> AsyncIterator[Port]:
    async with open_service(port_settings) as service:

        class Server(uvicorn.Server):
            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield

            async def startup(self, sockets: Any = None) -> None:
                await super().startup(sockets)
                started.set()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            found.asked.append(scope["path"])
            await service.application(scope, receive, send)

        started = asyncio.Event()
        protocol: Any = service.protocol
        listening = small_socket()
        listening.bind(("127.0.0.1", 0))
        server = Server(
            uvicorn.Config(
                application, http=protocol, lifespan="off", ws="none", log_config=None, timeout_keep_alive=KEEP_ALIVE
            )
        )
        task = asyncio.create_task(server.serve([listening]))
        await started.wait()
        found = Port(listening.getsockname()[1])
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{found.number}", trust_env=False, timeout=30) as http:
            platform = Platform(http, None)  # type: ignore[arg-type]
            await platform.deploy("echo", core_wat())
            await platform.deploy("loop", LOOP_WAT)
            await platform.register("broken", "(module", "wat")
            await platform.settled("broken")
        found.asked.clear()
        yield found
        server.should_exit = True
        await task


@pytest.fixture
async def connection(port: Port) -> AsyncIterator[Connection]:
    opened = await port.connect()
    yield opened
    await opened.close()

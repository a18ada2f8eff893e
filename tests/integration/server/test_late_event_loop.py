"""An event loop that is late: time limits pass, and the server stops, before it has read what arrived in time."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from faas.server import limits
from faas.server.limits import LimitedHttpProtocol
from faas.server.server import HttpServer
from faas.server.shutdown import GracefulShutdown
from faas.timeouts import LAST_READ_SECONDS
from tests.helpers.support import eventually

REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
LIMIT_SECONDS = 1


async def empty_answer(_scope: Any, _receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await asyncio.sleep(2 * LAST_READ_SECONDS)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class Client:
    """A connection to a server in this process, whose protocol is `protocol`."""

    def __init__(self, server: HttpServer, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection

    def protocol(self) -> LimitedHttpProtocol:
        (found,) = self._server.server_state.connections
        assert isinstance(found, LimitedHttpProtocol)
        return found

    async def ask(self) -> bytes:
        await asyncio.get_running_loop().sock_sendall(self._connection, REQUEST)
        return await self.answer()

    async def answer(self) -> bytes:
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self._connection, 1000), 20)

    async def ask_while_the_loop_is_held(self, seconds: float, then: Callable[[], None] = lambda: None) -> None:
        """Send a request and call `then` where the event loop reads, so that it runs timers before it reads again."""
        held = asyncio.Event()
        reading, writing = socket.socketpair()

        def hold() -> None:
            reading.recv(1)
            self._connection.send(REQUEST)
            time.sleep(seconds)
            then()
            held.set()

        with reading, writing:
            asyncio.get_running_loop().add_reader(reading.fileno(), hold)
            writing.send(b"x")
            await held.wait()
            asyncio.get_running_loop().remove_reader(reading.fileno())


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    shutdown = GracefulShutdown(1)
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as connection:
        server = HttpServer(empty_answer, LimitedHttpProtocol, shutdown, keep_alive_seconds=LIMIT_SECONDS)
        serving = asyncio.create_task(server.serve_until_shutdown(listening, interrupt=lambda: None))
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, listening.getsockname())

        async def connected() -> bool:
            return bool(server.server_state.connections)

        await eventually(connected)
        try:
            yield Client(server, connection)
        finally:
            shutdown.request()
            await serving


def test_keep_alive_timeout_spares_a_request_that_has_arrived() -> None:
    async def main() -> None:
        async with client() as sender:
            assert (await sender.ask()).startswith(b"HTTP/1.1 200 ")
            await sender.ask_while_the_loop_is_held(LIMIT_SECONDS + 0.1)
            assert (await sender.answer()).startswith(b"HTTP/1.1 200 ")

    uvloop.run(main())


def test_read_timeout_spares_a_request_that_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with client() as sender:
            monkeypatch.setattr(limits, "READ_TIMEOUT_SECONDS", LIMIT_SECONDS)
            sender.protocol()._start_read_timeout()
            await sender.ask_while_the_loop_is_held(LIMIT_SECONDS + 0.1)
            assert (await sender.answer()).startswith(b"HTTP/1.1 200 ")

    uvloop.run(main())


@pytest.mark.parametrize("asked_before", [False, True])
def test_shutdown_answers_a_request_that_has_arrived(asked_before: bool) -> None:
    async def main() -> None:
        async with client() as sender:
            if asked_before:
                assert b"connection: close" not in await sender.ask()
            await sender.ask_while_the_loop_is_held(0, sender.protocol().shutdown)
            answer = await sender.answer()
            assert (answer.startswith(b"HTTP/1.1 200 "), b"connection: close" in answer) == (True, True)
            assert await sender.answer() == b""

    uvloop.run(main())


@pytest.mark.parametrize("asked_before", [False, True])
def test_shutdown_closes_an_idle_connection(asked_before: bool) -> None:
    async def main() -> None:
        async with client() as sender:
            if asked_before:
                await sender.ask()
            sender.protocol().shutdown()
            assert await sender.answer() == b""

    uvloop.run(main())

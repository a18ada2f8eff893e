"""WebAssembly modules, polling, and the API client that tests of all tiers share."""

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx
import wasmtime

from faas.database.pool import Pool
from faas.runtime import Runtime

T = TypeVar("T")

ECHO_TS = "export function handle(input: string): string { return input; }"


def core_wat(body: str = "", *, memory: str = "1 2000", extra: str = "", alloc: str = "(i32.const 1024)") -> str:
    """Return a module of the core convention in the text format. `handle` is `body`; by default it returns its input."""
    body = body or (
        "(i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))"
    )
    return f"""(module
        {extra}
        (memory (export "memory") {memory})
        (func (export "alloc") (param i32) (result i32) {alloc})
        (func $handle (export "handle") (param i32 i32) (result i64) {body}))"""


def returning_wat(text: str) -> str:
    """Return a core module in the text format that outputs `text` (ASCII) for every input."""
    escaped = "".join(f"\\{byte:02x}" for byte in text.encode())
    return core_wat(f"(i64.const {(2048 << 32) | len(text)})", extra=f'(data (i32.const 2048) "{escaped}")')


def wat(text: str) -> bytes:
    """Assemble a module in the text format."""
    return bytes(wasmtime.wat2wasm(text))


LOOP_WAT = core_wat("(loop (br 0)) unreachable")


def replaced_database(url: str, name: str) -> str:
    """Return `url` with the database `name`."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is not in use, and that the kernel gives to none that asks for any port."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


async def eventually(ask: Callable[[], Awaitable[T]], accept: Callable[[T], bool] = bool, *, timeout: float = 120) -> T:
    """Poll `ask` until `accept` returns true for its result, and return that result. Fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        answer = await ask()
        if accept(answer):
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {timeout} s"
        await asyncio.sleep(0.02)


class Platform:
    """Client of a service under test: its HTTP API and its database."""

    def __init__(self, http: httpx.AsyncClient, pool: Pool, runtime: Runtime | None = None) -> None:
        self.http = http
        self.pool = pool
        self._runtime = runtime

    @property
    def runtime(self) -> Runtime:
        """The runtime, if the service is in this process."""
        assert self._runtime
        return self._runtime

    async def register(self, name: str, source: str, language: str = "wat", **fields: Any) -> dict[str, Any]:
        """Create a function and return the response."""
        body = {"name": name, "language": language, "source": source, **fields}
        response = await self.http.post("/functions", json=body)
        assert response.status_code == 201, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def settled(self, reference: str, timeout: float = 120) -> dict[str, Any]:
        """Wait until the function is READY or FAILED and return it."""

        async def ask() -> dict[str, Any]:
            answer: dict[str, Any] = (await self.http.get(f"/functions/{reference}")).json()
            return answer

        return await eventually(ask, lambda f: f["status"] in {"READY", "FAILED"}, timeout=timeout)

    async def put(self, name: str, source: str, language: str = "wat", **fields: Any) -> dict[str, Any]:
        """Replace a function and return the response."""
        body = {"name": name, "language": language, "source": source, **fields}
        response = await self.http.put(f"/functions/{name}", json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def latest_settled(self, reference: str, timeout: float = 120) -> dict[str, Any]:
        """Wait until the newest revision of the function is READY or FAILED and return the function."""

        async def ask() -> dict[str, Any]:
            answer: dict[str, Any] = (await self.http.get(f"/functions/{reference}")).json()
            return answer

        return await eventually(ask, lambda f: f["latest"]["status"] in {"READY", "FAILED"}, timeout=timeout)

    async def deploy(self, name: str, source: str, language: str = "wat") -> dict[str, Any]:
        """Create a function, wait until it is READY and return it."""
        await self.register(name, source, language)
        function = await self.settled(name)
        assert function["status"] == "READY", function["compileError"]
        return function

    async def execute(self, reference: str, document: Any = None) -> dict[str, Any]:
        """Execute a function and return the execution."""
        body = {} if document is None else {"input": document}
        response = await self.http.post(f"/functions/{reference}/execute", json=body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

"""A server of several workers: their processes, and clients that have a connection each."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx

from tests.helpers.server import Server, processes_of


def worker_pids(server: Server) -> set[int]:
    """Return the pids of the workers."""
    found = set()
    for pid in processes_of(server.process.pid):
        with suppress(OSError):
            if b"\0faas-worker-" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


@asynccontextmanager
async def connections(server: Server, number: int) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Open clients of one connection each, which the workers have taken when this returns."""
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(number):
            client = httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False)
            clients.append(await stack.enter_async_context(client))
            assert (await client.get("/functions?limit=1")).status_code == 200
        yield clients


async def execute_at_once(clients: Sequence[httpx.AsyncClient], name: str) -> list[httpx.Response]:
    """Execute a function on each of the connections at the same time."""
    return await asyncio.gather(*(client.post(f"/functions/{name}/execute", json={"input": {}}) for client in clients))


def statuses(answers: Sequence[httpx.Response]) -> dict[int, int]:
    """Return how many answers have each status."""
    return {code: [answer.status_code for answer in answers].count(code) for code in {a.status_code for a in answers}}


class SteadyClients:
    """Calls of a function, one after the other, on connections that stay open and on connections for one call each."""

    def __init__(self, server: Server, name: str) -> None:
        self._url, self._path = server.url, f"/functions/{name}/execute"
        self._is_over = False
        self.failures: list[str] = []
        self.answered = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Make calls during the block."""
        callers = [asyncio.create_task(self._call(keep=number % 2 == 0)) for number in range(4)]
        try:
            yield
        finally:
            self._is_over = True
            await asyncio.gather(*callers)

    async def _call(self, *, keep: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=1 if keep else 0)
        async with httpx.AsyncClient(base_url=self._url, timeout=30, trust_env=False, limits=limits) as client:
            while not self._is_over:
                try:
                    answer = await client.post(self._path, json={"input": {}})
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                    continue
                if answer.status_code == 200:
                    self.answered += 1
                else:
                    self.failures.append(f"{answer.status_code}: {answer.text}")

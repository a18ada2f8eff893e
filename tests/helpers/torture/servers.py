"""Servers that are killed with SIGKILL at random moments, also while they start, and started again at once."""

import asyncio
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

import msgspec

from tests.helpers.server import Server, start_server

_KILL_PAUSES_SECONDS = (1.0, 3.0)
_STARTING_KILL_SHARE = 0.1  # of the kills: on a busy machine a server that is starting would otherwise never be up


class Place(msgspec.Struct, frozen=True):
    """The options of one server, and how often it is killed in proportion to the others."""

    options: tuple[str, ...]
    kill_weight: float


class KilledServer:
    """One server: it is started again whenever it was killed, on the same data directory.

    A server that ends in any other way is reported.
    """

    def __init__(self, place: Place, data_dir: str, report: Callable[[str], None]) -> None:
        self.place = place
        self.running: Server | None = None
        self.start_seconds: list[float] = []
        self._environment = {"FAAS_DATA_DIR": data_dir}
        self._report = report
        self._starting: asyncio.Task[Server] | None = None
        self._killed = False

    async def run(self) -> None:
        """Keep the server running until cancelled; it is then killed."""
        try:
            while True:
                await self._run_once()
        finally:
            await self.kill()

    async def kill(self) -> bool:
        """Kill the server, running or starting. Returns whether there was one."""
        if self.running:
            self._killed = True
            await self.running.stop(signal.SIGKILL)
            return True
        if self._starting:
            return self._starting.cancel()  # start_server kills the process
        return False

    async def _run_once(self) -> None:
        began = time.monotonic()
        self._killed = False
        self._starting = asyncio.create_task(start_server(*self.place.options, environment=self._environment))
        try:
            server = await self._starting
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            return
        finally:
            self._starting = None
        self.start_seconds.append(time.monotonic() - began)
        self.running = server
        try:
            await server.process.wait()
        finally:
            self.running = None
        if not self._killed:
            self._report(f"a server ended by itself: {server.process.returncode}:\n" + "\n".join(server.lines[-20:]))


class KilledServers:
    """All servers of a torture run. `kills` counts those that were killed."""

    def __init__(self, servers: Sequence[KilledServer], choose: random.Random) -> None:
        self._servers = servers
        self._choose = choose
        self.kills = 0

    @property
    def running(self) -> list[Server]:
        """The servers that accept requests."""
        return [server.running for server in self._servers if server.running]

    @property
    def start_seconds(self) -> float:
        """The median duration of a start."""
        durations = [seconds for server in self._servers for seconds in server.start_seconds]
        return median(durations) if durations else 0.0

    @property
    def restarts(self) -> int:
        """How often a server has started again, to the point where it accepts requests."""
        return sum(max(0, len(server.start_seconds) - 1) for server in self._servers)

    async def kill_until(self, deadline: float) -> None:
        """Kill a random server every few seconds until `deadline`, a time of time.monotonic()."""
        while True:
            pause = self._choose.uniform(*_KILL_PAUSES_SECONDS)
            if time.monotonic() + pause > deadline:
                await asyncio.sleep(max(0.0, deadline - time.monotonic()))
                return
            await asyncio.sleep(pause)
            if server := self._chosen():
                self.kills += await server.kill()

    def _chosen(self) -> KilledServer | None:
        """Choose the server to kill; None if all are starting and are to go on."""
        running = [server for server in self._servers if server.running]
        starting = [server for server in self._servers if not server.running]
        if starting and self._choose.random() < _STARTING_KILL_SHARE:
            return self._choose.choice(starting)
        if not running:
            return None
        return self._choose.choices(running, [server.place.kill_weight for server in running])[0]


@asynccontextmanager
async def killed_servers(
    places: Sequence[Place], choose: random.Random, report: Callable[[str], None]
) -> AsyncIterator[KilledServers]:
    """Run a server in each place, and kill all at the end."""
    async with AsyncExitStack() as stack:
        servers = []
        for place in places:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="faas-torture-", ignore_cleanup_errors=True)
            )
            servers.append(KilledServer(place, folder, report))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(server.run()) for server in servers]
        try:
            yield KilledServers(servers, choose)
        finally:
            for task in tasks:
                task.cancel()

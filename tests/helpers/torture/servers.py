"""Servers that are killed with SIGKILL at random moments, also while they start, and started again at once."""

import asyncio
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

from tests.helpers.server import Server, start_server

# Events that no kill of another server explains.
_FAULTS = ("background_task.crashed", "guest.unexpected_error", "module.load_failed", "outcome.refused")
_KILL_PAUSES_SECONDS = (1.0, 3.0)
_SPARED_SECONDS = 30.0  # long enough to notice that the heartbeats of killed servers are stale
# A busy machine starts servers slower than they are killed, so there are shares of the kills that hit the last server
# that runs, and one that is starting. Otherwise nothing would run for long.
_LAST_KILL_SHARE = 0.05
_STARTING_KILL_SHARE = 0.1


class KilledServer:
    """One server: it is started again whenever it was killed, on the same data directory.

    A server that ends in any other way, or logs a fault, is reported.
    """

    def __init__(self, options: Sequence[str], data_dir: str, report: Callable[[str], None]) -> None:
        self.running: Server | None = None
        self.start_seconds: list[float] = []
        self.started = asyncio.Event()
        self._options = options
        self._environment = {"FAAS_DATA_DIR": data_dir}
        self._report = report
        self._starting: asyncio.Task[Server] | None = None
        self._killed = False

    async def run(self) -> None:
        """Keep the server running until cancelled; it is then killed."""
        while True:
            await self._run_once()

    async def kill(self) -> bool:
        """Kill the server, running or starting. Returns whether there was one."""
        if self.running:
            self._killed = True
            await self.running.stop(signal.SIGKILL)
            return True
        if self._starting:
            return self._starting.cancel()  # start_server kills the process, also when `run` is cancelled
        return False

    async def _run_once(self) -> None:
        began = time.monotonic()
        self._killed = False
        self._starting = asyncio.create_task(start_server(*self._options, environment=self._environment))
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
        self.started.set()
        try:
            await server.process.wait()
        finally:
            self.running = None
            await server.stop(signal.SIGKILL)  # when this is cancelled
        if not self._killed:
            self._report(f"a server ended by itself: {server.process.returncode}:\n" + "\n".join(server.lines[-20:]))
        for line in server.lines:
            if any(event in line for event in _FAULTS):
                self._report(line)


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

    async def kill_until(self, deadline: float, kills: int, over: asyncio.Event) -> None:
        """Kill a random server every few seconds, until `deadline` (of time.monotonic()) and for at least `kills` times.

        Then set `over`. One server in turn is spared for a while, so that it reaps what the others have left behind, and
        completes compilations that take seconds.
        """
        began = time.monotonic()
        while time.monotonic() < deadline or self.kills < kills:
            await asyncio.sleep(self._choose.uniform(*_KILL_PAUSES_SECONDS))
            spared = int((time.monotonic() - began) / _SPARED_SECONDS) % len(self._servers)
            if server := self._chosen([*self._servers[:spared], *self._servers[spared + 1 :]]):
                self.kills += await server.kill()
        over.set()

    def _chosen(self, servers: Sequence[KilledServer]) -> KilledServer | None:
        """Choose the server to kill; None while too few are running."""
        running = [server for server in servers if server.running]
        starting = [server for server in servers if not server.running]
        if starting and self._choose.random() < _STARTING_KILL_SHARE:
            return self._choose.choice(starting)
        if not running or (len(self.running) == 1 and self._choose.random() > _LAST_KILL_SHARE):
            return None
        return self._choose.choice(running)


@asynccontextmanager
async def killed_servers(
    options: Sequence[Sequence[str]], choose: random.Random, report: Callable[[str], None]
) -> AsyncIterator[KilledServers]:
    """Run a server with each of `options`; all have started. They are killed at the end."""
    async with AsyncExitStack() as stack:
        servers = []
        for one in options:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="faas-torture-", ignore_cleanup_errors=True)
            )
            servers.append(KilledServer(one, folder, report))
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(server.run()) for server in servers]
        try:
            for server in servers:
                await server.started.wait()
            yield KilledServers(servers, choose)
        finally:
            for task in tasks:
                task.cancel()

"""A worker as its supervisor sees it: a process, the channel to it, and what it has said of itself."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import structlog

from faas.errors import ConfigurationError
from faas.peers import CompilerState, Family
from faas.supervisor.channel import Channel
from faas.supervisor.messages import (
    AskCompilerState,
    AskMetrics,
    AskPeers,
    Begin,
    CompilerHealth,
    Failed,
    Message,
    Metrics,
    Ready,
)
from faas.supervisor.questions import Questions

log = structlog.get_logger()

READY_TIMEOUT_SECONDS = 90.0
# The path is the supervisor's: in dist/faas it is put together without `site`.
_PROGRAM = "import sys; sys.path[:] = {path!r}; from faas.supervisor.worker import main; main()"


class WorkerProcess:
    """A worker from its start to its end. `number` is its place among the workers.

    `on_question` gets the messages that are questions to the supervisor.
    """

    def __init__(
        self,
        number: int,
        slot: int,
        process: asyncio.subprocess.Process,
        channel: Channel,
        on_question: Callable[["WorkerProcess", AskPeers | AskCompilerState], None],
    ) -> None:
        self.number, self.slot = number, slot
        self.families: list[Family] = []  # its metrics, as it has sent them last
        self.is_retiring = False
        self.started_at = asyncio.get_running_loop().time()
        self._process = process
        self._channel = channel
        self._on_question = on_question
        self._ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self._metrics: Questions[list[Family]] = Questions()
        self._compiler_states: Questions[CompilerState | None] = Questions()
        self.ended = asyncio.create_task(self._follow(), name=f"worker:{number}")

    @classmethod
    async def start(
        cls,
        number: int,
        begin: Begin,
        *,
        listening: int,
        memory: int,
        on_question: Callable[["WorkerProcess", AskPeers | AskCompilerState], None],
    ) -> "WorkerProcess":
        """Start a worker, which inherits the descriptors of the socket and of the memory. Raises OSError."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = (theirs.fileno(), listening, memory)
            try:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    # Not documented, but what multiprocessing starts its processes with: -I and -S of dist/faas.
                    *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]
                    "-c",
                    _PROGRAM.format(path=sys.path),
                    *map(str, descriptors),
                    f"faas-worker-{number}",  # for those who read the list of processes
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=descriptors,
                    process_group=0,  # Ctrl-C must reach the supervisor alone
                )
            except OSError:
                ours.close()
                raise
        channel = await Channel.open(ours)
        channel.send(begin)
        return cls(number, begin.slot, process, channel, on_question)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.returncode

    @property
    def ready(self) -> Ready | None:
        """What it has said when it was ready; None before, and if it never was."""
        done = self._ready.done() and not self._ready.cancelled() and self._ready.exception() is None
        return self._ready.result() if done else None

    @property
    def serves(self) -> bool:
        """Whether it is ready, and neither retires nor has ended."""
        return self.ready is not None and not self.is_retiring and not self.ended.done()

    async def wait_until_ready(self) -> Ready:
        """Return what it says when it serves. Raises ConfigurationError with its reason; then it ends."""
        try:
            return await asyncio.wait_for(asyncio.shield(self._ready), READY_TIMEOUT_SECONDS)
        except TimeoutError:
            self.kill()
            raise ConfigurationError(f"a worker was not ready within {READY_TIMEOUT_SECONDS:.0f} s") from None

    def send(self, message: Message) -> None:
        """Send it a message."""
        self._channel.send(message)

    def kill(self) -> None:
        """Kill it, if it still runs."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def update_metrics(self) -> None:
        """Ask it for its metrics; without an answer in time, they stay as they were."""
        with suppress(TimeoutError):
            await self._metrics.ask(lambda number: self.send(AskMetrics(number)))

    async def ask_compiler_state(self) -> CompilerState | None:
        """Return the health of its compilers; None without an answer in time."""
        with suppress(TimeoutError):
            return await self._compiler_states.ask(lambda number: self.send(AskCompilerState(number)))
        return None

    async def _follow(self) -> None:
        """Handle its messages, and return when it has ended and all are handled."""
        while (message := await self._channel.receive()) is not None:
            self._handle(message)
        await self._process.wait()
        await self._channel.close()
        if not self._ready.done():
            self._ready.set_exception(
                ConfigurationError(f"a worker has ended while it was starting, with exit code {self.exit_code}")
            )
        self._ready.exception()  # it is retrieved: a worker that nothing waits for any more may fail, too

    def _handle(self, message: Message) -> None:
        match message:
            case Ready():
                self._ready.set_result(message)
            case Failed():
                self._ready.set_exception(ConfigurationError(message.reason))
            case Metrics():
                self.families = message.families
                if message.number is not None:
                    self._metrics.answer(message.number, message.families)
            case CompilerHealth():
                self._compiler_states.answer(message.number, message.state)
            case AskPeers() | AskCompilerState():
                if isinstance(message, AskPeers):
                    self.families = message.own
                self._on_question(self, message)
            case _:
                raise AssertionError(message)

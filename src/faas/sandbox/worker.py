"""A worker process: a confined process that stays up and answers one request at a time.

Requests and answers are frames: a length of four bytes (big-endian), then the content. The process sends an empty frame
when it is ready.
"""

import asyncio
import struct
from collections import deque
from contextlib import suppress

import structlog

from faas.sandbox.sandbox import Sandbox
from faas.timeouts import timeout_after_last_read
from faas.units import format_duration, format_size

log = structlog.get_logger()

_START_TIMEOUT_SECONDS = 60.0
_STDERR_KEEP_LINES = 20
_STDERR_LINE_LIMIT_CHARACTERS = 300
_OUT_OF_MEMORY_MESSAGES = (
    "out of memory",
    "allocation failed",
    "cannot allocate memory",
    "memory allocation of",
    "memoryerror",
)


class LimitReached(Exception):
    """A request exceeded a limit; the message names it. The process was killed."""


class WorkerDied(Exception):
    """The process ended without an answer, for a reason that is not that of the request."""


class WorkerProcess:
    """One confined process: `start`, then `request` repeatedly, then `kill`."""

    def __init__(self, sandbox: Sandbox, *, answer_limit: int) -> None:
        self._sandbox = sandbox
        self._answer_limit = answer_limit
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: deque[str] = deque(maxlen=_STDERR_KEEP_LINES)
        self._stderr_reader: asyncio.Task[None] | None = None
        self._ready = False
        self._busy = False
        self.requests = 0

    @property
    def usable(self) -> bool:
        """True when the process can take a request."""
        return self._ready and not self._busy and self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """The process id, or None before `start`."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start the process and wait until it is ready. Raises WorkerDied."""
        self._process = await self._sandbox.start()
        self._stderr_reader = asyncio.create_task(self._read_stderr(), name=f"{self._sandbox.name}:{self._process.pid}")
        try:
            async with timeout_after_last_read(_START_TIMEOUT_SECONDS):
                await self._read_frame()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            await self.kill()
            raise WorkerDied(f"{self._sandbox.name} did not start: {self._exit_message()}") from None
        self._ready = True
        confinement = self._stderr[0] if self._stderr else ""
        log.info("worker.started", worker=self._sandbox.name, pid=self._process.pid, confinement=confinement)

    async def request(self, content: bytes, timeout: float) -> bytes:
        """Return the answer to `content` within `timeout` seconds.

        Raises LimitReached or WorkerDied. After that, and after a cancellation, the process is no longer usable.
        """
        assert self._process
        assert self._process.stdin
        self._busy = True
        self.requests += 1
        try:
            async with timeout_after_last_read(timeout):
                self._process.stdin.write(struct.pack(">I", len(content)) + content)
                await self._process.stdin.drain()
                answer = await self._read_frame()
        except TimeoutError:
            await self.kill()
            raise LimitReached(f"{self._sandbox.name} exceeded the time limit of {format_duration(timeout)}") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await self.kill()
            if any(message in line.lower() for line in self._stderr for message in _OUT_OF_MEMORY_MESSAGES):
                limit = format_size(self._sandbox.memory)
                raise LimitReached(f"{self._sandbox.name} exceeded the memory limit of {limit}") from None
            raise WorkerDied(f"{self._sandbox.name} ended: {self._exit_message()}") from None
        self._busy = False
        return answer

    async def kill(self) -> None:
        """Kill the process and wait for its end."""
        self._ready = False
        if self._process is None:
            return
        # A process that is exiting keeps its own exit code: after a kill asyncio would report 255 instead.
        if self._process.stdout and self._process.stdout.at_eof():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1)
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        if self._process.stdout:
            await read_to_end(self._process.stdout)
        if self._stderr_reader:
            # The rest of stderr arrives at once, unless a child process holds the pipe open.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stderr_reader, 1)

    async def _read_frame(self) -> bytes:
        assert self._process
        assert self._process.stdout
        (size,) = struct.unpack(">I", await self._process.stdout.readexactly(4))
        if size > self._answer_limit:
            await self.kill()
            limit = format_size(self._answer_limit)
            raise LimitReached(f"{self._sandbox.name} exceeded the output limit of {limit}")
        return await self._process.stdout.readexactly(size)

    def _exit_message(self) -> str:
        code = self._process.returncode if self._process else None
        return f"exit code {code}; {' | '.join(self._stderr) or 'no message'}"

    async def _read_stderr(self) -> None:
        assert self._process
        assert self._process.stderr
        while chunk := await self._process.stderr.read(1 << 16):
            lines = chunk.decode("utf-8", "replace").splitlines()
            self._stderr.extend(line[:_STDERR_LINE_LIMIT_CHARACTERS] for line in lines if line.strip(" ▌"))


async def read_to_end(stream: asyncio.StreamReader) -> None:
    """Read what an ended process left in `stream`; asyncio keeps a pipe open until it is read to its end."""
    with suppress(TimeoutError, RuntimeError):  # RuntimeError: another task is reading it
        async with asyncio.timeout(1):
            while await stream.read(1 << 16):
                pass

"""A confined process that stays up and answers one request at a time.

Requests and answers are frames: a length of four bytes (big-endian), then so many bytes. The process sends an empty
frame when it is ready.
"""

import asyncio
import struct
from collections import deque
from contextlib import suppress

import structlog

from faas.sandbox.plan import Sandbox
from faas.units import format_duration, format_size

log = structlog.get_logger()

_START_TIMEOUT = 60.0
_STDERR_LINES = 20
_STDERR_LINE = 300
_OUT_OF_MEMORY = ("out of memory", "allocation failed", "cannot allocate memory", "memory allocation of", "memoryerror")


class LimitReached(Exception):
    """A request used more than it may; the message names the limit. Its process is gone."""


class WorkerDied(Exception):
    """The process ended without an answer, and not because of a limit that we know of."""


class WorkerProcess:
    """One confined process. `start`, then `ask` one thing after the other, then `kill`."""

    def __init__(self, sandbox: Sandbox, *, answer_limit: int) -> None:
        self._sandbox = sandbox
        self._answer_limit = answer_limit
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._reading: asyncio.Task[None] | None = None
        self._ready = False
        self._busy = False
        self.asked = 0

    @property
    def usable(self) -> bool:
        """Whether it can take a request."""
        return self._ready and not self._busy and self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it and wait until it says that it is ready. Raises WorkerDied."""
        self._process = await self._sandbox.start()
        self._reading = asyncio.create_task(self._read_stderr(), name=f"{self._sandbox.name}:{self._process.pid}")
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await self._read_frame()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            await self.kill()
            raise WorkerDied(f"{self._sandbox.name} did not start: {self._last_words()}") from None
        self._ready = True
        confinement = self._stderr[0] if self._stderr else ""
        log.info("worker.started", worker=self._sandbox.name, pid=self._process.pid, confinement=confinement)

    async def ask(self, request: bytes, timeout: float) -> bytes:
        """The answer to `request` within `timeout` seconds. Raises LimitReached or WorkerDied; it is then of no use."""
        assert self._process
        assert self._process.stdin
        self._busy = True
        self.asked += 1
        try:
            async with asyncio.timeout(timeout):
                self._process.stdin.write(struct.pack(">I", len(request)) + request)
                await self._process.stdin.drain()
                answer = await self._read_frame()
        except TimeoutError:
            await self.kill()
            raise LimitReached(f"{self._sandbox.name} exceeded the time limit of {format_duration(timeout)}") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            await self.kill()
            if any(sign in line.lower() for line in self._stderr for sign in _OUT_OF_MEMORY):
                limit = format_size(self._sandbox.memory)
                raise LimitReached(f"{self._sandbox.name} exceeded the memory limit of {limit}") from None
            raise WorkerDied(f"{self._sandbox.name} ended: {self._last_words()}") from None
        self._busy = False
        return answer

    async def kill(self) -> None:
        """End it at once, with whatever it started."""
        self._ready = False
        if self._process is None:
            return
        # One that ends by itself keeps its own exit code: killing it now would have asyncio report 255 instead.
        if self._process.stdout and self._process.stdout.at_eof():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1)
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()
        if self._process.stdout:
            await read_to_end(self._process.stdout)
        if self._reading:
            # Whatever it still wrote has arrived by now, unless a stray child holds the pipe open.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reading, 1)

    async def _read_frame(self) -> bytes:
        assert self._process
        assert self._process.stdout
        (size,) = struct.unpack(">I", await self._process.stdout.readexactly(4))
        if size > self._answer_limit:
            await self.kill()
            limit = format_size(self._answer_limit)
            raise LimitReached(f"{self._sandbox.name} exceeded the output limit of {limit}")
        return await self._process.stdout.readexactly(size)

    def _last_words(self) -> str:
        code = self._process.returncode if self._process else None
        return f"exit code {code}; {' | '.join(self._stderr) or 'no message'}"

    async def _read_stderr(self) -> None:
        assert self._process
        assert self._process.stderr
        while chunk := await self._process.stderr.read(1 << 16):
            lines = chunk.decode("utf-8", "replace").splitlines()
            self._stderr.extend(line[:_STDERR_LINE] for line in lines if line.strip(" ▌"))


async def read_to_end(stream: asyncio.StreamReader) -> None:
    """What a process that has ended left unread: a pipe that is not read to its end stays open."""
    with suppress(TimeoutError, RuntimeError):  # somebody else may be reading it
        async with asyncio.timeout(1):
            while await stream.read(1 << 16):
                pass

"""A compiler's process: one JSON line in, one JSON line out, one source at a time."""

import asyncio
import base64
from collections import deque
from contextlib import suppress

import msgspec
import structlog

from faas.compile.outcome import CompilerDied
from faas.compile.sandbox import Sandbox
from faas.quantities import format_duration, format_size

log = structlog.get_logger()

_START_TIMEOUT = 60.0
_STDERR_LINES = 20
_MEMORY_SIGNS = ("heap out of memory", "Out of memory", "out of memory", "allocation failed", "Cannot allocate memory")


class LimitReached(Exception):
    """A compilation used more than it may; the message names the limit. Its process is gone."""


class Answer(msgspec.Struct, frozen=True):
    """What the worker says of one source: the module, or the diagnostics."""

    wasm: str | None = None
    diagnostics: str = ""
    last: bool = False  # the process ends after this one

    @property
    def binary(self) -> bytes | None:
        """The module."""
        return None if self.wasm is None else base64.b64decode(self.wasm)


class CompilerProcess:
    """One sandboxed compiler. `start` returns when it has said that it is ready."""

    def __init__(self, sandbox: Sandbox, *, output_limit: int, memory: int) -> None:
        self._sandbox = sandbox
        self._output_limit = output_limit
        self._memory = memory
        self._process: asyncio.subprocess.Process | None = None
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._reading: asyncio.Task[None] | None = None
        self.compilations = 0
        self.busy = False

    @property
    def usable(self) -> bool:
        """Whether it can take a source."""
        return self._process is not None and self._process.returncode is None and not self.busy

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Start it and wait until it is warm. Raises CompilerDied."""
        self._process = await asyncio.create_subprocess_exec(
            *self._sandbox.launcher(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
            cwd="/",
            start_new_session=True,
            limit=self._output_limit * 4 // 3 + (1 << 20),
        )
        self._reading = asyncio.create_task(self._read_stderr(), name=f"compiler-stderr:{self._process.pid}")
        assert self._process.stdout
        try:
            ready = await asyncio.wait_for(self._process.stdout.readline(), _START_TIMEOUT)
        except TimeoutError:
            ready = b""
        if not ready:
            await self.kill()
            raise CompilerDied(f"the compiler did not start: {self._last_words()}")
        log.info("compiler.started", pid=self._process.pid, confinement=self._stderr[0] if self._stderr else "")

    async def compile(self, source: str, timeout: float) -> Answer:
        """Compile `source`. Raises LimitReached or CompilerDied; the process is then of no more use."""
        assert self._process
        assert self._process.stdin
        assert self._process.stdout
        self.busy = True
        self.compilations += 1
        try:
            async with asyncio.timeout(timeout):
                self._process.stdin.write(msgspec.json.encode({"source": source}) + b"\n")
                await self._process.stdin.drain()
                line = await self._process.stdout.readline()
        except TimeoutError:
            await self.kill()
            raise LimitReached(f"compiling exceeded the time limit of {format_duration(timeout)}") from None
        except ValueError:  # StreamReader: the line is longer than its limit
            await self.kill()
            raise LimitReached(self._too_large()) from None
        except (BrokenPipeError, ConnectionResetError):
            line = b""
        if not line.endswith(b"\n"):
            await self.kill()
            if any(sign in words for words in self._stderr for sign in _MEMORY_SIGNS):
                raise LimitReached(f"compiling exceeded the memory limit of {format_size(self._memory)}")
            raise CompilerDied(f"the compiler's process ended: {self._last_words()}")
        answer = msgspec.json.decode(line, type=Answer)
        if answer.wasm is not None and len(answer.wasm) * 3 // 4 > self._output_limit + 3:
            raise LimitReached(self._too_large())
        self.busy = answer.last
        return answer

    async def kill(self) -> None:
        """End it at once, with whatever it started."""
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
        if self._reading:
            # Whatever it still wrote has arrived by now, unless a stray child holds the pipe open.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reading, 1)

    def _too_large(self) -> str:
        return f"the compiled module exceeded the output limit of {format_size(self._output_limit)}"

    def _last_words(self) -> str:
        code = self._process.returncode if self._process else None
        return f"exit code {code}; {' | '.join(self._stderr) or 'no message'}"

    async def _read_stderr(self) -> None:
        assert self._process
        assert self._process.stderr
        while chunk := await self._process.stderr.read(1 << 16):
            self._stderr.extend(chunk.decode("utf-8", "replace")[-4000:].splitlines())

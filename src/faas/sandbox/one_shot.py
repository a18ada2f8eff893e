"""A confined process that reads its whole input, answers and exits."""

import asyncio
from contextlib import suppress

from faas.sandbox.sandbox import Sandbox
from faas.sandbox.worker import read_to_end
from faas.timeouts import timeout_after_last_read

_ERROR_MESSAGE_LIMIT_CHARACTERS = 300
_STDERR_KEEP_BYTES = 1 << 16


class OneShotFailed(Exception):
    """The process did not answer. The message has its last output, or the limit that it exceeded."""


class OneShotProcess:
    """A confined program that runs once for each input.

    The process for the next input is started ahead, because its start takes as long as its work.
    """

    def __init__(self, sandbox: Sandbox, *, timeout: float, answer_limit: int) -> None:
        self._sandbox = sandbox
        self._timeout = timeout
        self._answer_limit = answer_limit
        self._next: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._closed = False

    async def run(self, content: bytes) -> bytes:
        """Return what the program writes to stdout when it reads `content` from stdin, within the timeout.

        Raises OneShotFailed.
        """
        process = await self._take_next()
        try:
            return await _communicate(self._sandbox.name, process, content, self._timeout, self._answer_limit)
        finally:
            if self._next is None and not self._closed:
                self._next = asyncio.create_task(self._sandbox.start())

    async def close(self) -> None:
        """Kill the process that was started ahead."""
        self._closed = True
        started, self._next = self._next, None
        if started:
            with suppress(OSError):
                await _kill(await started)

    async def _take_next(self) -> asyncio.subprocess.Process:
        started, self._next = self._next, None
        if started:
            with suppress(OSError):
                process = await started
                if process.returncode is None:
                    return process
        return await self._sandbox.start()


async def _communicate(
    name: str, process: asyncio.subprocess.Process, content: bytes, timeout: float, answer_limit: int
) -> bytes:
    assert process.stdin
    assert process.stdout
    assert process.stderr
    stderr = asyncio.create_task(_read_start(process.stderr))
    try:
        async with timeout_after_last_read(timeout):
            with suppress(ConnectionError):  # it may exit before it has read its input; the exit code says why
                process.stdin.write(content)
                await process.stdin.drain()
            process.stdin.close()
            answer = bytearray()
            while chunk := await process.stdout.read(1 << 16):
                answer += chunk
                if len(answer) > answer_limit:
                    raise OneShotFailed(f"{name} exceeded the output limit of {answer_limit} bytes")
            code = await process.wait()
            messages = (await stderr).decode("utf-8", "replace")
    except TimeoutError:
        raise OneShotFailed(f"{name} exceeded the time limit of {timeout:g} s") from None
    finally:
        stderr.cancel()
        await _kill(process)
    if code:
        lines = [line.strip() for line in messages.splitlines()[1:] if line.strip()]  # line 0: the confinement
        shown = " | ".join(lines)[:_ERROR_MESSAGE_LIMIT_CHARACTERS]
        raise OneShotFailed(f"{name} failed with exit code {code}: {shown}")
    return bytes(answer)


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.stdout:
        await read_to_end(process.stdout)


async def _read_start(stream: asyncio.StreamReader) -> bytes:
    """Read `stream` to its end and return the first _STDERR_KEEP_BYTES."""
    kept = bytearray()
    while chunk := await stream.read(1 << 16):
        kept += chunk[: _STDERR_KEEP_BYTES - len(kept)]
    return bytes(kept)

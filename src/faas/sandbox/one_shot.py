"""A confined program that reads its input to the end, answers, and is gone."""

import asyncio
from contextlib import suppress

from faas.sandbox.plan import Sandbox
from faas.sandbox.worker import read_to_end

_MESSAGE = 300  # characters


class Refused(Exception):
    """The program did not answer: what it said last, or which limit it reached."""


class OneShot:
    """A confined program, a process of which is started ahead: to start it takes as long as what it then does."""

    def __init__(self, sandbox: Sandbox, *, timeout: float, answer_limit: int) -> None:
        self._sandbox = sandbox
        self._timeout = timeout
        self._answer_limit = answer_limit
        self._next: asyncio.Task[asyncio.subprocess.Process] | None = None
        self._closed = False

    async def run(self, content: bytes) -> bytes:
        """What the program writes to stdout, given `content` on stdin, within the timeout (s). Raises Refused."""
        process = await self._take()
        try:
            return await _converse(self._sandbox.name, process, content, self._timeout, self._answer_limit)
        finally:
            if self._next is None and not self._closed:
                self._next = asyncio.create_task(self._sandbox.start())

    async def close(self) -> None:
        """Kill the process that waits."""
        self._closed = True
        waiting, self._next = self._next, None
        if waiting:
            with suppress(OSError):
                await _kill(await waiting)

    async def _take(self) -> asyncio.subprocess.Process:
        waiting, self._next = self._next, None
        if waiting:
            with suppress(OSError):
                process = await waiting
                if process.returncode is None:
                    return process
        return await self._sandbox.start()


async def _converse(
    name: str, process: asyncio.subprocess.Process, content: bytes, timeout: float, answer_limit: int
) -> bytes:
    assert process.stdin
    assert process.stdout
    assert process.stderr
    errors = asyncio.create_task(_read(process.stderr))
    try:
        async with asyncio.timeout(timeout):
            with suppress(ConnectionError):  # it need not read what it refuses; its exit code tells
                process.stdin.write(content)
                await process.stdin.drain()
            process.stdin.close()
            answer = bytearray()
            while chunk := await process.stdout.read(1 << 16):
                answer += chunk
                if len(answer) > answer_limit:
                    raise Refused(f"{name} exceeded the output limit of {answer_limit} bytes")
            code = await process.wait()
            said = (await errors).decode("utf-8", "replace")
    except TimeoutError:
        raise Refused(f"{name} exceeded the time limit of {timeout:g} s") from None
    finally:
        errors.cancel()
        await _kill(process)
    if code:
        lines = [line.strip() for line in said.splitlines()[1:] if line.strip()]  # the first says how it is confined
        raise Refused(f"{name} failed with exit code {code}: {' | '.join(lines)[:_MESSAGE]}")
    return bytes(answer)


async def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.stdout:
        await read_to_end(process.stdout)


async def _read(stream: asyncio.StreamReader) -> bytes:
    """All of it, of which the beginning is kept."""
    kept = bytearray()
    while chunk := await stream.read(1 << 16):
        kept += chunk[: (1 << 16) - len(kept)]
    return bytes(kept)

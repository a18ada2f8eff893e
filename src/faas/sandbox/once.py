"""A confined program that reads its input to the end, answers, and is gone."""

import asyncio
from contextlib import suppress

from faas.sandbox.plan import Sandbox

_MESSAGE = 300  # characters


class Refused(Exception):
    """The program did not answer: what it said last, or which limit it reached."""


async def run_once(sandbox: Sandbox, content: bytes, *, timeout: float, answer_limit: int) -> bytes:
    """What the program writes to stdout, given `content` on stdin, within `timeout` seconds. Raises Refused."""
    process = await sandbox.start()
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
                    raise Refused(f"{sandbox.name} exceeded the output limit of {answer_limit} bytes")
            code = await process.wait()
            said = (await errors).decode("utf-8", "replace")
    except TimeoutError:
        raise Refused(f"{sandbox.name} exceeded the time limit of {timeout:g} s") from None
    finally:
        errors.cancel()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if code:
        lines = [line.strip() for line in said.splitlines()[1:] if line.strip()]  # the first says how it is confined
        raise Refused(f"{sandbox.name} failed with exit code {code}: {' | '.join(lines)[:_MESSAGE]}")
    return bytes(answer)


async def _read(stream: asyncio.StreamReader) -> bytes:
    """All of it, of which the beginning is kept."""
    kept = bytearray()
    while chunk := await stream.read(1 << 16):
        kept += chunk[: (1 << 16) - len(kept)]
    return bytes(kept)

"""One-shot processes: the next one is started ahead, replaced when it dies, and killed at the end."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from faas.sandbox import OneShotFailed, OneShotProcess, Sandbox
from tests.helpers.support import eventually

READS = "import sys; text = sys.stdin.read(); sys.exit(3) if text == 'fail' else print(text.upper(), end='')"


@pytest.fixture
def sandbox() -> Sandbox:
    python = Path(sys.base_prefix)
    return Sandbox(
        name="shouting", command=[sys.executable, "-I", "-S", "-c", READS], readable=[python], memory=256 << 20
    )


async def waiting(program: OneShotProcess) -> asyncio.subprocess.Process:
    assert program._next
    return await program._next


async def gone(process: asyncio.subprocess.Process) -> None:
    async def ended() -> bool:
        return process.returncode is not None

    assert await eventually(ended)


async def test_one_shot_starts_the_next_process_ahead(sandbox: Sandbox) -> None:
    program = OneShotProcess(sandbox, timeout=20, answer_limit=100)
    assert await program.run(b"one") == b"ONE"
    ahead = await waiting(program)
    assert await program.run(b"two") == b"TWO"
    assert ahead.returncode == 0
    assert (await waiting(program)).pid != ahead.pid
    await program.close()


async def test_one_shot_concurrent_runs_use_separate_processes(sandbox: Sandbox) -> None:
    program = OneShotProcess(sandbox, timeout=20, answer_limit=100)
    await program.run(b"")
    assert await asyncio.gather(*(program.run(text) for text in (b"a", b"b", b"c"))) == [b"A", b"B", b"C"]
    await program.close()


async def test_one_shot_replaces_a_process_that_died_while_idle(sandbox: Sandbox) -> None:
    program = OneShotProcess(sandbox, timeout=20, answer_limit=100)
    await program.run(b"")
    ahead = await waiting(program)
    ahead.kill()
    await gone(ahead)
    assert await program.run(b"still") == b"STILL"
    await program.close()


async def test_one_shot_failure_does_not_affect_the_next_run(sandbox: Sandbox) -> None:
    program = OneShotProcess(sandbox, timeout=20, answer_limit=3)
    with pytest.raises(OneShotFailed, match="shouting failed with exit code 3"):
        await program.run(b"fail")
    with pytest.raises(OneShotFailed, match="output limit of 3 bytes"):
        await program.run(b"long")
    assert await program.run(b"yes") == b"YES"
    await program.close()


async def test_one_shot_close_kills_the_next_process(sandbox: Sandbox) -> None:
    program = OneShotProcess(sandbox, timeout=20, answer_limit=100)
    await program.run(b"")
    ahead = await waiting(program)
    await program.close()
    with pytest.raises(ProcessLookupError):
        os.kill(ahead.pid, 0)

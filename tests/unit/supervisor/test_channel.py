"""Messages between a supervisor and a worker."""

import asyncio
import socket
from pathlib import Path

import pytest

from faas import settings
from faas.supervisor.channel import Channel
from faas.supervisor.messages import Begin, Stop
from faas.supervisor.questions import Questions


async def channels() -> tuple[Channel, Channel]:
    one, two = socket.socketpair()
    return await Channel.open(one), await Channel.open(two)


async def test_channel_carries_the_settings() -> None:
    given = {
        "tls_cert": "/etc/a.pem",
        "tls_key": "/etc/b.pem",
        "languages": "wat,wasm",
        "keep_executions": "0",
        "database_url": "postgresql://u:p@h/d",
        "workers": "3",
    }
    chosen = settings.load(given, {})
    supervisor, worker = await channels()
    supervisor.send(Begin(chosen, 3, 8, first=True))
    supervisor.send(Stop(immediately=True))
    begin = await worker.receive()
    assert begin == Begin(chosen, 3, 8, first=True)
    assert isinstance(begin, Begin)
    assert begin.settings.tls_cert == Path("/etc/a.pem")
    assert await worker.receive() == Stop(immediately=True)
    await supervisor.close()
    assert await worker.receive() is None
    worker.send(Stop(immediately=False))  # the other end is gone
    await worker.close()


async def test_questions_get_their_own_answers_and_late_ones_are_dropped() -> None:
    questions: Questions[str] = Questions()
    numbers: list[int] = []
    asked = [asyncio.create_task(questions.ask(numbers.append)) for _ in range(2)]
    while len(numbers) < 2:
        await asyncio.sleep(0)
    questions.answer(numbers[1], "second")
    questions.answer(numbers[0], "first")
    assert await asyncio.gather(*asked) == ["first", "second"]
    with pytest.raises(TimeoutError):
        await questions.ask(numbers.append, 0.01)
    questions.answer(numbers[2], "late")

"""Time limits on what arrives: a late event loop reads it first."""

import asyncio
import socket
import time
from collections.abc import Callable

import pytest
import uvloop

from faas.timeouts import timeout_after_last_read

LOOPS = pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])


def run(new_loop: Callable[[], asyncio.AbstractEventLoop], case: Callable[[], object]) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(case())  # type: ignore[arg-type]


@pytest.mark.parametrize("held_again", [0, 0.2])
@LOOPS
def test_timeout_after_last_read_spares_an_answer_that_has_arrived(
    new_loop: Callable[[], asyncio.AbstractEventLoop], held_again: float
) -> None:
    async def case() -> None:
        loop = asyncio.get_running_loop()
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        woken, waking = socket.socketpair()

        def hold() -> None:  # where the event loop reads, so that timers are due before it reads again
            loop.remove_reader(woken.fileno())
            writing.send(b"answer")
            time.sleep(0.4)
            loop.call_soon(time.sleep, held_again)

        with reading, writing, woken, waking:
            loop.add_reader(woken.fileno(), hold)
            waking.send(b"x")
            async with timeout_after_last_read(0.2):
                assert await loop.sock_recv(reading, 100) == b"answer"

    run(new_loop, case)


@LOOPS
def test_timeout_after_last_read_ends_a_block_without_an_answer(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def case() -> None:
        for seconds in (0.1, 0):
            began = time.monotonic()
            with pytest.raises(TimeoutError):
                async with timeout_after_last_read(seconds):
                    await asyncio.Event().wait()
            assert time.monotonic() - began >= seconds

    run(new_loop, case)


@LOOPS
def test_timeout_after_last_read_is_over_with_its_block(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def case() -> None:
        async with timeout_after_last_read(0.01):
            pass
        with pytest.raises(ZeroDivisionError):
            async with timeout_after_last_read(0.01):
                raise ZeroDivisionError
        await asyncio.sleep(0.1)

    run(new_loop, case)

"""GracefulShutdown: the states before, between and after the signals, and the one deadline."""

import asyncio
import os
import signal

import pytest

from faas.server.shutdown import GracefulShutdown


class Calls(list[str]):
    """A shutdown and the names of the callbacks that it has called."""

    def __init__(self, grace_seconds: float) -> None:
        super().__init__()
        self.shutdown = GracefulShutdown(grace_seconds, announce=lambda: self.append("announce"))

    def start_serving(self) -> None:
        self.shutdown.start_serving(
            drain=lambda: self.append("drain"),
            interrupt=lambda: self.append("interrupt"),
            abort=lambda: self.append("abort"),
        )


async def test_graceful_shutdown_drains_first_and_interrupts_at_the_deadline() -> None:
    calls = Calls(0.05)
    calls.start_serving()
    calls.shutdown.request()
    assert calls == ["announce", "drain"]
    await asyncio.sleep(0.2)
    assert calls == ["announce", "drain", "interrupt"]
    assert calls.shutdown.remaining_seconds() == 0


async def test_graceful_shutdown_second_request_stops_immediately() -> None:
    calls = Calls(60)
    calls.start_serving()
    calls.shutdown.request()
    assert 50 < calls.shutdown.remaining_seconds() <= 60
    calls.shutdown.request()
    assert calls == ["announce", "drain", "abort", "interrupt"]
    assert calls.shutdown.remaining_seconds() == 0
    calls.shutdown.finish()


async def test_graceful_shutdown_has_one_deadline() -> None:
    calls = Calls(60)
    calls.start_serving()
    assert calls.shutdown.remaining_seconds() == 60  # nothing has been requested
    calls.shutdown.request()
    before = calls.shutdown.remaining_seconds()
    await asyncio.sleep(0.05)
    assert before - calls.shutdown.remaining_seconds() >= 0.04
    calls.shutdown.finish()


async def test_graceful_shutdown_interrupts_nothing_after_finish() -> None:
    calls = Calls(0.01)
    calls.start_serving()
    calls.shutdown.request()
    calls.shutdown.finish()
    await asyncio.sleep(0.05)
    calls.shutdown.request()
    assert "interrupt" not in calls


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_graceful_shutdown_signal_cancels_the_start(number: signal.Signals) -> None:
    calls = Calls(60)

    async def start() -> None:
        calls.shutdown.handle_signals()
        os.kill(os.getpid(), number)
        await asyncio.sleep(30)

    loop = asyncio.get_running_loop()
    starting = asyncio.create_task(start())
    try:
        with pytest.raises(asyncio.CancelledError):
            await starting
        starts = [calls.shutdown.is_starting]
        assert calls == []
        calls.start_serving()
        starts.append(calls.shutdown.is_starting)
        assert starts == [True, False]
        os.kill(os.getpid(), number)
        await asyncio.sleep(0.05)
        assert calls == ["announce", "drain"]
    finally:
        calls.shutdown.finish()
        for handled in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(handled)

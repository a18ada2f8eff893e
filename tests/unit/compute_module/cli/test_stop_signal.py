"""Signals as the end of a command's work."""

import asyncio
import os
import signal

import pytest

from faas.compute_module.cli.stop_signal import StopSignal
from faas.compute_module.errors import RunStopped


async def _wait_without_end() -> None:
    await asyncio.Event().wait()


def _send(number: signal.Signals) -> None:
    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stop_signal_cancels_the_work(number: signal.Signals) -> None:
    async def main() -> None:
        with StopSignal() as stop_signal:
            _send(number)
            with pytest.raises(RunStopped, match=f"stopped by {number.name}"):
                await asyncio.wait_for(stop_signal.run(_wait_without_end()), 20)

    asyncio.run(main())


def test_stop_signal_after_the_work_ends_the_wait() -> None:
    async def main() -> None:
        with StopSignal() as stop_signal:
            await stop_signal.run(asyncio.sleep(0))
            _send(signal.SIGTERM)
            await asyncio.wait_for(stop_signal.wait(), 20)

    asyncio.run(main())


def test_stop_signal_second_signal_has_its_default_effect() -> None:
    async def main() -> None:
        with StopSignal() as stop_signal:
            _send(signal.SIGTERM)
            await stop_signal.wait()
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    asyncio.run(main())


def test_stop_signal_cancellation_without_a_signal_stays_a_cancellation() -> None:
    async def main() -> None:
        with StopSignal() as stop_signal:
            task = asyncio.ensure_future(stop_signal.run(_wait_without_end()))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())

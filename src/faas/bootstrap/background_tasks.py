"""Background tasks that run until an exit stack closes."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any

import structlog

from faas.queue.consumer import Consumer

log = structlog.get_logger()

_FIRST_READ_TIMEOUT_SECONDS = 10.0


async def run_in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    """Run `work` in a task until it returns or `stack` closes. An exception that it raises is logged."""
    task = asyncio.create_task(work, name=name)

    def log_exception(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and done.exception():
            log.critical("background_task.crashed", task=name, exc_info=done.exception())

    task.add_done_callback(log_exception)

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):  # log_exception has logged it
            await task

    stack.push_async_callback(stop)


async def run_consumer(stack: AsyncExitStack, queue: str, consumer: Consumer) -> None:
    """Run `consumer` until `stack` closes; its messages in flight then become visible to other processes.

    Returns after the first read of the queue, so that the service is ready when it reports so, or after a timeout:
    /health then says that the queue cannot be read.
    """
    task = asyncio.create_task(consumer.run(), name=f"consumer:{queue}")

    async def stop() -> None:
        consumer.cancel()
        await task

    stack.push_async_callback(stop)
    with suppress(TimeoutError):
        await asyncio.wait_for(consumer.first_read.wait(), _FIRST_READ_TIMEOUT_SECONDS)

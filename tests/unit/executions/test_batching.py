"""The batcher: no item is delayed for the sake of a larger batch, and each submitter gets the result of its own item."""

import asyncio
from collections.abc import Sequence

import pytest

from faas.executions.batching import Batcher


class Doubler:
    """Doubles numbers once `released` is set, and fails for a batch with 13 in it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.released = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.released.wait()
        if 13 in items:
            raise ValueError("13")
        return [2 * item for item in items]


async def test_batcher_writes_a_single_item_at_once() -> None:
    writer = Doubler()
    writer.released.set()
    assert await Batcher(writer, concurrency=1, max_items=10, max_bytes=10).submit(1, 1) == 2
    assert writer.batches == [[1]]


async def test_batcher_collects_items_during_a_write() -> None:
    writer = Doubler()
    batcher = Batcher(writer, concurrency=1, max_items=3, max_bytes=10)
    first = batcher.submit(0, 1)
    await asyncio.sleep(0)
    rest = [batcher.submit(number, 1) for number in range(1, 6)]
    writer.released.set()
    assert await asyncio.gather(first, *rest) == [0, 2, 4, 6, 8, 10]
    assert writer.batches == [[0], [1, 2, 3], [4, 5]]


async def test_batcher_writes_concurrently_up_to_its_concurrency() -> None:
    writer = Doubler()
    batcher = Batcher(writer, concurrency=2, max_items=10, max_bytes=10)
    futures = []
    for number in range(4):
        futures.append(batcher.submit(number, 1))
        await asyncio.sleep(0)
    assert writer.batches == [[0], [1]]
    writer.released.set()
    assert await asyncio.gather(*futures) == [0, 2, 4, 6]
    assert writer.batches == [[0], [1], [2, 3]]


async def test_batcher_failure_is_raised_to_the_items_of_its_batch_only() -> None:
    writer = Doubler()
    batcher = Batcher(writer, concurrency=1, max_items=2, max_bytes=10)
    futures = [batcher.submit(number, 1) for number in (13, 1, 2, 3)]
    writer.released.set()
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError, int, int]
    with pytest.raises(ValueError, match="13"):
        await batcher.submit(13, 1)
    assert await batcher.submit(4, 1) == 8


async def test_batcher_cancelled_item_does_not_affect_its_batch() -> None:
    writer = Doubler()
    batcher = Batcher(writer, concurrency=1, max_items=10, max_bytes=10)
    cancelled, other = batcher.submit(1, 1), batcher.submit(2, 1)
    await asyncio.sleep(0)
    cancelled.cancel()
    writer.released.set()
    assert await other == 4


async def test_batcher_limits_the_bytes_of_a_batch_with_more_than_one_item() -> None:
    writer = Doubler()
    writer.released.set()
    batcher = Batcher(writer, concurrency=1, max_items=9, max_bytes=10)
    futures = [batcher.submit(number, size) for number, size in enumerate([4, 6, 1, 50, 10, 2, 3])]
    await asyncio.gather(*futures)
    assert writer.batches == [[0, 1], [2], [3], [4], [5, 6]]

"""Batching: nobody waits for company, nobody gets another's result."""

import asyncio
from collections.abc import Sequence

import pytest

from faas.executions.batching import Batches


class Writer:
    """Doubles numbers, when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.let = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        await self.let.wait()
        if 13 in items:
            raise ValueError("13")
        return [2 * item for item in items]


async def test_a_lone_item_is_written_at_once() -> None:
    writer = Writer()
    writer.let.set()
    assert await Batches(writer, writers=1, largest=10, heaviest=10).submit(1, 1) == 2
    assert writer.batches == [[1]]


async def test_what_arrives_during_a_write_goes_into_the_next_one() -> None:
    writer = Writer()
    batches = Batches(writer, writers=1, largest=3, heaviest=10)
    first = batches.submit(0, 1)
    await asyncio.sleep(0)
    rest = [batches.submit(number, 1) for number in range(1, 6)]
    writer.let.set()
    assert await asyncio.gather(first, *rest) == [0, 2, 4, 6, 8, 10]
    assert writer.batches == [[0], [1, 2, 3], [4, 5]]


async def test_writers_work_side_by_side() -> None:
    writer = Writer()
    batches = Batches(writer, writers=2, largest=10, heaviest=10)
    futures = []
    for number in range(4):
        futures.append(batches.submit(number, 1))
        await asyncio.sleep(0)
    assert writer.batches == [[0], [1]]
    writer.let.set()
    assert await asyncio.gather(*futures) == [0, 2, 4, 6]
    assert writer.batches == [[0], [1], [2, 3]]


async def test_a_failure_is_that_batchs_alone() -> None:
    writer = Writer()
    batches = Batches(writer, writers=1, largest=2, heaviest=10)
    futures = [batches.submit(number, 1) for number in (13, 1, 2, 3)]
    writer.let.set()
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError, int, int]
    with pytest.raises(ValueError, match="13"):
        await batches.submit(13, 1)
    assert await batches.submit(4, 1) == 8


async def test_somebody_who_leaves_takes_nothing_with_him() -> None:
    writer = Writer()
    batches = Batches(writer, writers=1, largest=10, heaviest=10)
    leaving, staying = batches.submit(1, 1), batches.submit(2, 1)
    await asyncio.sleep(0)
    leaving.cancel()
    writer.let.set()
    assert await staying == 4


async def test_a_batch_is_no_heavier_than_it_may_be_unless_one_item_is() -> None:
    writer = Writer()
    writer.let.set()
    batches = Batches(writer, writers=1, largest=9, heaviest=10)
    futures = [batches.submit(number, size) for number, size in enumerate([4, 6, 1, 50, 10, 2, 3])]
    await asyncio.gather(*futures)
    assert writer.batches == [[0, 1], [2], [3], [4], [5, 6]]

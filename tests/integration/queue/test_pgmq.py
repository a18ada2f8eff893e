"""The operations on a queue: what each does to its messages."""

import asyncio

from faas.database.pool import Pool
from faas.queue import pgmq
from faas.queue.messages import COMPILATION_JOBS, COMPILATION_RESULTS

_JOB, _RESULT = b'{"job": 1}', b'{"result": 1}'


async def test_answer_sends_one_answer_however_many_readers_have_the_message(pool: Pool) -> None:
    async with pool.acquire() as connection:
        job = await pgmq.send(connection, COMPILATION_JOBS, _JOB)

    async def answer() -> bool:
        async with pool.acquire() as connection:
            return await pgmq.answer(connection, COMPILATION_JOBS, job, COMPILATION_RESULTS, _RESULT)

    assert sorted(await asyncio.gather(*(answer() for _ in range(5)))) == [False] * 4 + [True]
    async with pool.acquire() as connection:
        assert await pgmq.count(connection, COMPILATION_JOBS) == 0
        (sent,) = await pgmq.read(connection, COMPILATION_RESULTS, limit=9, visibility_timeout=30)
    assert sent.body == _RESULT


async def test_answer_that_is_undone_leaves_the_message(pool: Pool) -> None:
    async with pool.acquire() as connection:
        job = await pgmq.send(connection, COMPILATION_JOBS, _JOB)
        transaction = connection.transaction()
        await transaction.start()
        assert await pgmq.answer(connection, COMPILATION_JOBS, job, COMPILATION_RESULTS, _RESULT)
        await transaction.rollback()
        assert await pgmq.count(connection, COMPILATION_JOBS) == 1
        assert await pgmq.count(connection, COMPILATION_RESULTS) == 0

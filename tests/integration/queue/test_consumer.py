"""The consumer loop: notifications, visibility timeout, redelivery, dead letters, several consumers."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from faas.database.pool import Pool
from faas.queue import pgmq
from faas.queue.consumer import Consumer
from faas.queue.listener import Listener
from faas.queue.pgmq import Message
from tests.helpers.support import eventually

QUEUE = "compilation_jobs"


class Recorder:
    """A handler that records deliveries and runs the work of a test."""

    def __init__(self, pool: Pool, work: Callable[[Message], Awaitable[None]] | None = None) -> None:
        self._pool = pool
        self._work = work
        self.handled: list[int] = []
        self.attempts: list[int] = []
        self.dead_letters: list[str] = []

    async def handle(self, message: Message) -> None:
        self.attempts.append(message.read_count)
        if self._work:
            await self._work(message)
        async with self._pool.acquire() as connection:
            assert await pgmq.archive(connection, QUEUE, message.id)
        self.handled.append(message.id)

    async def dead_letter(self, message: Message, reason: str) -> None:
        async with self._pool.acquire() as connection:
            assert await pgmq.archive_dead_letter(connection, QUEUE, message.id, reason)
        self.dead_letters.append(reason)


@asynccontextmanager
async def consuming(
    pool: Pool, url: str, recorder: Recorder, *, concurrency: int = 4, visibility: float = 2
) -> AsyncIterator[Consumer]:
    listener = Listener(url, [QUEUE])
    consumer = Consumer(
        pool,
        QUEUE,
        recorder,
        listener.event(QUEUE),
        concurrency=concurrency,
        visibility_timeout=visibility,
        poll_interval=60,
    )
    listening, running = asyncio.create_task(listener.run()), asyncio.create_task(consumer.run())

    async def ready() -> bool:
        return listener.connected and consumer.healthy

    await eventually(ready)
    yield consumer
    consumer.cancel()
    await running
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def send(pool: Pool, count: int = 1) -> None:
    async with pool.acquire() as connection:
        for _ in range(count):
            await pgmq.send(connection, QUEUE, b'{"n": 1}')


async def test_consumer_reads_once_for_each_message(
    pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, read = 0, pgmq.read

    async def counted(*arguments: Any, **keywords: Any) -> list[Message]:
        nonlocal reads
        reads += 1
        return await read(*arguments, **keywords)

    monkeypatch.setattr(pgmq, "read", counted)
    recorder = Recorder(pool)
    async with consuming(pool, database_url, recorder):
        before = 0
        for count in range(1, 7):
            await send(pool)
            await eventually(lambda: asyncio.sleep(0, len(recorder.handled)), count.__eq__)
            before = before or reads  # with those of the start
    assert reads - before <= 5


async def test_consumer_notification_wakes_it_before_the_poll(pool: Pool, database_url: str) -> None:
    recorder = Recorder(pool)
    async with consuming(pool, database_url, recorder):
        for count in range(1, 6):
            began = time.monotonic()
            await send(pool)
            await eventually(lambda: asyncio.sleep(0, len(recorder.handled)), count.__eq__)
            assert time.monotonic() - began < 10  # the poll would come after 60 s


async def test_consumer_handles_up_to_its_concurrency_at_once(pool: Pool, database_url: str) -> None:
    gate = asyncio.Event()
    working = 0
    most = 0

    async def work(_: Message) -> None:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await gate.wait()
        working -= 1

    recorder = Recorder(pool, work)
    async with consuming(pool, database_url, recorder, concurrency=3):
        await send(pool, 7)
        await eventually(lambda: asyncio.sleep(0, working), lambda count: count == 3)
        gate.set()
        await eventually(lambda: asyncio.sleep(0, len(recorder.handled)), lambda count: count == 7)
    assert most == 3


async def test_consumer_extends_the_visibility_timeout_of_long_work(pool: Pool, database_url: str) -> None:
    async def work(_: Message) -> None:
        await asyncio.sleep(7)

    first, second = Recorder(pool, work), Recorder(pool, work)
    async with (
        consuming(pool, database_url, first, visibility=3),
        consuming(pool, database_url, second, visibility=3) as other,
    ):
        await send(pool)
        await eventually(lambda: asyncio.sleep(0, first.attempts + second.attempts))
        other._wake.set()
        await asyncio.sleep(4)
        other._wake.set()
        await eventually(lambda: asyncio.sleep(0, first.handled + second.handled))
    assert (first.attempts + second.attempts) == [1]


async def test_consumer_dead_letters_after_five_failed_deliveries(pool: Pool, database_url: str) -> None:
    async def work(_: Message) -> None:
        raise RuntimeError("broken")

    recorder = Recorder(pool, work)
    async with consuming(pool, database_url, recorder):
        await send(pool)
        # The pauses between the attempts grow to 8 s: make the message visible at once instead.
        while not recorder.dead_letters:
            await pool.execute(f"UPDATE pgmq.q_{QUEUE} SET vt = clock_timestamp() WHERE vt > clock_timestamp()")
            await pool.execute(f'NOTIFY "pgmq.q_{QUEUE}.INSERT"')
            await asyncio.sleep(0.02)
    assert recorder.attempts == [1, 2, 3, 4, 5]
    assert recorder.dead_letters == ["failed after 5 attempts"]
    assert await pool.fetchval(f"SELECT headers ->> 'rejected' FROM pgmq.a_{QUEUE}") == "failed after 5 attempts"


async def test_consumer_retries_a_failed_message_without_a_notification(pool: Pool, database_url: str) -> None:
    async def work(message: Message) -> None:
        if message.read_count == 1:
            raise RuntimeError("only now")

    recorder = Recorder(pool, work)
    async with consuming(pool, database_url, recorder):
        await send(pool)
        await eventually(
            lambda: asyncio.sleep(0, recorder.handled), timeout=20
        )  # before the poll, which comes after 60 s
    assert recorder.attempts == [1, 2]


async def test_consumer_cancel_makes_messages_visible_at_once(pool: Pool, database_url: str) -> None:
    async def work(_: Message) -> None:
        await asyncio.sleep(600)

    first, second = Recorder(pool, work), Recorder(pool)
    async with consuming(pool, database_url, first, visibility=100):
        await send(pool)
        await eventually(lambda: asyncio.sleep(0, first.attempts))
    async with consuming(pool, database_url, second, visibility=100):
        await eventually(lambda: asyncio.sleep(0, second.handled))
    assert second.attempts == [2]


async def test_consumer_cancel_during_a_read_makes_messages_visible(pool: Pool, database_url: str) -> None:
    recorder = Recorder(pool)
    async with consuming(pool, database_url, recorder, visibility=100) as consumer:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute(f"LOCK TABLE pgmq.q_{QUEUE}")  # the read waits for this transaction
            await connection.execute(f"SELECT pgmq.send('{QUEUE}', '{{}}')")
            consumer._wake.set()

            async def waiting() -> bool:
                return bool(
                    await pool.fetchval(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND wait_event_type = 'Lock'"
                    )
                )

            await eventually(waiting)
            consumer.cancel()
        await eventually(lambda: asyncio.sleep(0, consumer._stop.is_set()))
    assert recorder.attempts == []
    async with consuming(pool, database_url, recorder):
        await eventually(lambda: asyncio.sleep(0, recorder.handled))


async def test_consumer_shares_a_queue_with_others(pool: Pool, database_url: str) -> None:
    first, second = Recorder(pool), Recorder(pool)
    async with consuming(pool, database_url, first), consuming(pool, database_url, second):
        await send(pool, 40)
        await eventually(lambda: asyncio.sleep(0, len(first.handled) + len(second.handled)), lambda count: count == 40)
    assert not set(first.handled) & set(second.handled)


async def test_listener_reconnects_after_a_lost_connection(pool: Pool, database_url: str) -> None:
    recorder = Recorder(pool)
    async with consuming(pool, database_url, recorder):
        killed = await pool.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE application_name = 'faas listener' AND datname = current_database()"
        )
        assert killed == 1
        await send(pool)
        await eventually(lambda: asyncio.sleep(0, recorder.handled), timeout=20)


async def test_consumer_survives_an_unreadable_queue(pool: Pool, database_url: str) -> None:
    recorder = Recorder(pool)
    async with consuming(pool, database_url, recorder) as consumer:
        await pool.execute(f"ALTER TABLE pgmq.q_{QUEUE} RENAME TO away")
        consumer._wake.set()
        await eventually(lambda: asyncio.sleep(0, not consumer.healthy))
        await pool.execute(f"ALTER TABLE pgmq.away RENAME TO q_{QUEUE}")
        await send(pool)
        await eventually(lambda: asyncio.sleep(0, recorder.handled))
        assert consumer.healthy


async def test_consumer_read_uses_the_index_on_visibility(pool: Pool) -> None:
    """A read does not scan all messages of a long queue."""
    await pool.execute(
        f"INSERT INTO pgmq.q_{QUEUE} (vt, message) SELECT clock_timestamp() + interval '1 hour', '{{}}' "
        "FROM generate_series(1, 20000)"
    )
    await pool.execute(f"ANALYZE pgmq.q_{QUEUE}")
    plan = await pool.fetch(
        f"EXPLAIN SELECT msg_id FROM pgmq.q_{QUEUE} WHERE vt <= clock_timestamp() ORDER BY msg_id LIMIT 1 "
        "FOR UPDATE SKIP LOCKED"
    )
    assert "Index" in "\n".join(row[0] for row in plan)

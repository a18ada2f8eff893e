"""The two writes of an execution, in batches: what one of them cannot have, the others get."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from faas.database.held_connection import HeldConnection
from faas.database.pool import Pool
from faas.executions.recorder import End, Journal, Start, open_journal
from faas.function_ref import FunctionRef
from faas.runtime import Outcome
from tests.helpers.support import eventually

PROCESS = UUID(int=7)


@pytest.fixture
async def journal(database_url: str, pool: Pool) -> AsyncIterator[Journal]:
    async with open_journal(database_url, pool, PROCESS) as opened:
        yield opened


async def function(pool: Pool, name: str, status: str = "READY") -> UUID:
    function_id = uuid7()
    await pool.execute(
        "INSERT INTO functions (id, name, language, source, status, wasm_binary, compile_error) "
        "VALUES ($1, $2, 'wat', '', $3, $4, $5)",
        function_id,
        name,
        status,
        name.encode() if status == "READY" else None,
        "no" if status == "FAILED" else None,
    )
    return function_id


def start(name: str, document: bytes = b"{}") -> Start:
    return Start(uuid7(), FunctionRef.by_name(name), document, datetime.now(UTC))


def end(execution_id: UUID, output: bytes = b"1") -> End:
    return End(execution_id, Outcome(output=output), datetime.now(UTC))


async def statuses(pool: Pool) -> dict[UUID, str]:
    return {row["id"]: row["status"] for row in await pool.fetch("SELECT id, status FROM executions")}


async def test_each_of_many_gets_its_own_function(journal: Journal, pool: Pool) -> None:
    ids = {name: await function(pool, name) for name in ("a", "b")}
    by_name = [start("ab"[number % 2]) for number in range(40)]
    by_id = [Start(uuid7(), FunctionRef.by_id(ids["b"]), b"{}", datetime.now(UTC)) for _ in range(5)]
    missing = [start("nobody"), Start(uuid7(), FunctionRef.by_id(UUID(int=1)), b"{}", datetime.now(UTC))]
    called = await asyncio.gather(*(journal.start(one) for one in [*by_name, *by_id, *missing]))
    assert [found and found["function_id"] for found in called] == [
        *(ids[one.function_ref.name or ""] for one in by_name), *[ids["b"]] * 5, None, None
    ]  # fmt: skip
    assert await statuses(pool) == {one.id: "RUNNING" for one in [*by_name, *by_id]}


async def test_what_is_not_ready_does_not_start(journal: Journal, pool: Pool) -> None:
    await function(pool, "broken", "FAILED")
    await function(pool, "waiting", "PENDING")
    for name in ("broken", "waiting"):
        assert await journal.start(start(name)) is None
    assert not await statuses(pool)


async def test_a_locked_function_holds_up_its_own_executions_only(journal: Journal, pool: Pool) -> None:
    await function(pool, "locked")
    await function(pool, "free")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM functions WHERE name = 'locked' FOR UPDATE")
        waiting = [asyncio.ensure_future(journal.start(start("locked"))) for _ in range(3)]
        for _ in range(20):
            assert await asyncio.wait_for(journal.start(start("free")), 10)
        assert not any(task.done() for task in waiting)
    assert all(await asyncio.gather(*waiting))


async def test_a_locked_execution_holds_up_its_own_end_only(journal: Journal, pool: Pool) -> None:
    await function(pool, "f")
    starts = [start("f") for _ in range(10)]
    await asyncio.gather(*(journal.start(one) for one in starts))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM executions WHERE id = $1 FOR UPDATE", starts[0].id)
        waiting = asyncio.ensure_future(journal.end(end(starts[0].id)))
        assert (
            await asyncio.wait_for(asyncio.gather(*(journal.end(end(one.id)) for one in starts[1:])), 10) == [True] * 9
        )
        assert not waiting.done()
    assert await waiting
    assert set((await statuses(pool)).values()) == {"COMPLETED"}


async def test_a_document_that_postgres_refuses_spoils_no_other(journal: Journal, pool: Pool) -> None:
    await function(pool, "f")
    documents = [b"{}", b"no json", b'{"n":1}']
    results = await asyncio.gather(*(journal.start(start("f", one)) for one in documents), return_exceptions=True)
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    found = await pool.fetch("SELECT id FROM executions ORDER BY id")
    ends = [end(found[0]["id"], b"no json"), end(found[1]["id"])]
    ended = await asyncio.gather(*(journal.end(one) for one in ends), return_exceptions=True)
    assert [result is True for result in ended] == [False, True]
    assert sorted((await statuses(pool)).values()) == ["COMPLETED", "RUNNING"]


async def test_an_end_counts_once(journal: Journal, pool: Pool) -> None:
    await function(pool, "f")
    one = start("f")
    await journal.start(one)
    assert sorted(await asyncio.gather(*(journal.end(end(one.id)) for _ in range(5)))) == [False] * 4 + [True]


async def test_the_statements_use_indexes_however_small_the_tables_are(journal: Journal, pool: Pool) -> None:
    """A plan that reads a small table whole would be kept while it grows: the counts say what was really done."""
    await function(pool, "f")
    starts = [start("f") for _ in range(20)]
    await asyncio.gather(*(journal.start(one) for one in starts))
    await asyncio.gather(*(journal.end(end(one.id)) for one in starts))

    async def written() -> int:  # each session tells the counts of its tables and indexes at once, after a while
        return int(
            await pool.fetchval(
                "SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname = $1", "executions"
            )
        )

    await eventually(written, lambda found: found == 40)
    whole = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname IN ('functions', 'executions')"
    assert await pool.fetchval(whole) == 0
    # Until a vacuum, all that ever ran is in the index of what is RUNNING: it is no way to one row.
    assert (
        await pool.fetchval("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'executions_running'") == 0
    )


async def test_the_end_is_on_disk_and_the_start_need_not_be(journal: Journal, pool: Pool) -> None:
    async def durable(connection: HeldConnection) -> object:
        return (await connection.fetch("SHOW synchronous_commit"))[0][0]

    assert [await durable(connection) for connection in journal._idle_starts] == ["off"]
    assert [await durable(connection) for connection in journal._idle_ends] == ["on", "on"]
    assert await pool.fetchval("SHOW synchronous_commit") == "on"


async def test_a_lost_connection_is_replaced(journal: Journal, pool: Pool) -> None:
    """Nobody hears of one that was lost while nothing was written."""
    await function(pool, "f")
    await journal.start(start("f"))
    terminated = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%asked%unnest%'"
    assert await pool.fetchval(terminated + " AND pid <> pg_backend_pid()") >= 1

    async def lost() -> bool:
        return journal._idle_starts[0].lost

    assert await eventually(lost)
    for _ in range(3):
        assert await journal.start(start("f"))

"""The recorder: starts and ends are written in batches, and a failure of one item does not affect the others."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from faas.database.held_connection import HeldConnection
from faas.database.pool import Pool
from faas.errors import FunctionNotFound, FunctionNotReady, NotFound
from faas.executions.model import ExecutionEnd, ExecutionStart
from faas.executions.recorder import ExecutionRecorder, NotStarted, Started, StartResult, open_recorder
from faas.function_ref import FunctionRef
from faas.runtime import Outcome
from tests.helpers.executions import insert_function
from tests.helpers.support import eventually

PROCESS = UUID(int=7)


@pytest.fixture
async def recorder(database_url: str, pool: Pool) -> AsyncIterator[ExecutionRecorder]:
    async with open_recorder(database_url, pool, PROCESS) as opened:
        yield opened


def start(function_ref: FunctionRef | str, input_json: bytes = b"{}") -> ExecutionStart:
    if isinstance(function_ref, str):
        function_ref = FunctionRef.by_name(function_ref)
    return ExecutionStart(uuid7(), function_ref, input_json, datetime.now(UTC), None)


def end(execution_id: UUID, output: bytes = b"1") -> ExecutionEnd:
    return ExecutionEnd(execution_id, Outcome(output=output), datetime.now(UTC))


def refusal(result: StartResult) -> NotFound | FunctionNotReady:
    assert isinstance(result, NotStarted)
    return result.reason


async def statuses(pool: Pool) -> dict[UUID, str]:
    return {row["id"]: row["status"] for row in await pool.fetch("SELECT id, status FROM executions")}


async def test_recorder_starts_each_execution_of_a_batch_with_its_own_function(
    recorder: ExecutionRecorder, pool: Pool
) -> None:
    ids = {name: await insert_function(pool, name) for name in ("a", "b")}
    by_name = [start("ab"[number % 2]) for number in range(40)]
    by_id = [start(FunctionRef.by_id(ids["b"])) for _ in range(5)]
    missing = [start("missing"), start(FunctionRef.by_id(UUID(int=1)))]
    results = await asyncio.gather(*(recorder.record_started(one) for one in [*by_name, *by_id, *missing]))
    assert [isinstance(result, Started) and result.function_id for result in results] == [
        *(ids[one.function_ref.name or ""] for one in by_name), *[ids["b"]] * 5, False, False
    ]  # fmt: skip
    assert all(isinstance(refusal(result), FunctionNotFound) for result in results[-2:])
    assert await statuses(pool) == {one.id: "RUNNING" for one in [*by_name, *by_id]}


@pytest.mark.parametrize("given", ["none", "some", "all"])
async def test_recorder_keeps_what_none_some_and_all_of_a_batch_have(
    recorder: ExecutionRecorder, pool: Pool, given: str
) -> None:
    """A parameter that no item of a batch has is sent as one NULL; what an item has must not move to another one."""
    function_id = await insert_function(pool, "f")
    has = [given == "all" or (given == "some" and number % 3 == 1) for number in range(9)]
    by_revision = FunctionRef(None, "f", 1)
    starts = [
        ExecutionStart(uuid7(), by_revision if own else FunctionRef.by_name("f"), b"{}", datetime.now(UTC), invoker)
        for number, own in enumerate(has)
        for invoker in [f"token-{number}" if own else None]
    ]
    outcomes = [
        Outcome(error=f"error {number}", logs=f"line {number}") if own else Outcome(output=b"%d" % number)
        for number, own in enumerate(has)
    ]
    results = await asyncio.gather(*(recorder.record_started(one) for one in starts))
    assert all(isinstance(result, Started) and result.function_id == function_id for result in results)
    ends = [ExecutionEnd(one.id, outcome, datetime.now(UTC)) for one, outcome in zip(starts, outcomes, strict=True)]
    assert await asyncio.gather(*(recorder.record_finished(one) for one in ends)) == [True] * len(ends)
    columns = "invoked_by, output, error_message, logs, requests"
    rows = await pool.fetch(f"SELECT {columns} FROM executions ORDER BY array_position($1::uuid[], id)", [
        one.id for one in starts
    ])  # fmt: skip
    assert [tuple(row) for row in rows] == [
        (one.invoked_by, outcome.output, outcome.error, outcome.logs, None)
        for one, outcome in zip(starts, outcomes, strict=True)
    ]


async def test_recorder_does_not_start_what_is_not_ready(recorder: ExecutionRecorder, pool: Pool) -> None:
    statuses_by_name = {"broken": "FAILED", "waiting": "PENDING"}
    for name, status in statuses_by_name.items():
        await insert_function(pool, name, status)
        reason = refusal(await recorder.record_started(start(name)))
        assert isinstance(reason, FunctionNotReady)
        assert (reason.status, reason.compile_error) == (status, "no" if status == "FAILED" else None)
    assert not await statuses(pool)


async def test_recorder_locked_function_delays_no_execution(recorder: ExecutionRecorder, pool: Pool) -> None:
    """A deploy, a result, a promotion and a rollback lock the row; those that are not committed change nothing yet."""
    function_id = await insert_function(pool, "locked")
    await insert_function(pool, "free")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM functions WHERE name = 'locked' FOR UPDATE")
        await connection.execute("UPDATE functions SET newest_revision = 2, live_revision = NULL WHERE name = 'locked'")
        for _ in range(20):
            for name in ("free", "locked"):
                result = await asyncio.wait_for(recorder.record_started(start(name)), 10)
                assert isinstance(result, Started)
                assert (result.function_id == function_id, result.revision) == (name == "locked", 1)
        await connection.execute("UPDATE functions SET live_revision = 1 WHERE name = 'locked'")
        await connection.execute(
            "INSERT INTO revisions (function_id, number, language, source) VALUES ($1, 2, 'wat', 'x')", function_id
        )


async def test_recorder_locked_table_delays_a_start_and_loses_none(recorder: ExecutionRecorder, pool: Pool) -> None:
    await insert_function(pool, "f")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE executions IN SHARE MODE")
        waiting = [asyncio.ensure_future(recorder.record_started(start("f"))) for _ in range(3)]
        await asyncio.sleep(0.2)  # longer than the lock timeout of a batch
        assert not any(task.done() for task in waiting)
    assert all(isinstance(result, Started) for result in await asyncio.gather(*waiting))


async def test_recorder_locked_execution_delays_only_its_own_end(recorder: ExecutionRecorder, pool: Pool) -> None:
    await insert_function(pool, "f")
    starts = [start("f") for _ in range(10)]
    await asyncio.gather(*(recorder.record_started(one) for one in starts))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM executions WHERE id = $1 FOR UPDATE", starts[0].id)
        waiting = asyncio.ensure_future(recorder.record_finished(end(starts[0].id)))
        others = asyncio.gather(*(recorder.record_finished(end(one.id)) for one in starts[1:]))
        assert await asyncio.wait_for(others, 10) == [True] * 9
        assert not waiting.done()
    assert await waiting
    assert set((await statuses(pool)).values()) == {"COMPLETED"}


async def test_recorder_document_that_postgres_refuses_fails_alone(recorder: ExecutionRecorder, pool: Pool) -> None:
    await insert_function(pool, "f")
    documents = [b"{}", b"no json", b'{"n":1}']
    results = await asyncio.gather(
        *(recorder.record_started(start("f", one)) for one in documents), return_exceptions=True
    )
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    found = await pool.fetch("SELECT id FROM executions ORDER BY id")
    ends = [end(found[0]["id"], b"no json"), end(found[1]["id"])]
    ended = await asyncio.gather(*(recorder.record_finished(one) for one in ends), return_exceptions=True)
    assert [result is True for result in ended] == [False, True]
    assert sorted((await statuses(pool)).values()) == ["COMPLETED", "RUNNING"]


async def test_recorder_records_an_end_once(recorder: ExecutionRecorder, pool: Pool) -> None:
    await insert_function(pool, "f")
    one = start("f")
    await recorder.record_started(one)
    ended = await asyncio.gather(*(recorder.record_finished(end(one.id)) for _ in range(5)))
    assert sorted(ended) == [False] * 4 + [True]


async def test_recorder_statements_use_indexes_on_small_tables(recorder: ExecutionRecorder, pool: Pool) -> None:
    """A plan with sequential scans would be kept while the tables grow. The statistics show what was executed."""
    await insert_function(pool, "f")
    starts = [start("f") for _ in range(20)]
    await asyncio.gather(*(recorder.record_started(one) for one in starts))
    await asyncio.gather(*(recorder.record_finished(end(one.id)) for one in starts))

    async def written() -> int:  # a session reports the statistics of its tables and indexes together, with a delay
        return int(
            await pool.fetchval(
                "SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables WHERE relname LIKE 'executions%'"
            )
        )

    await eventually(written, lambda found: found == 40)
    sequential = "SELECT sum(seq_scan) FROM pg_stat_user_tables WHERE relname SIMILAR TO 'functions|executions%'"
    assert await pool.fetchval(sequential) == 0
    # The partial index has dead entries for every past execution until the next vacuum, so it must not be used.
    partial = "SELECT sum(idx_scan) FROM pg_stat_user_indexes WHERE indexrelname SIMILAR TO '%(running|process_id_idx)'"
    assert await pool.fetchval(partial) == 0


async def test_recorder_ends_are_durable_and_starts_need_not_be(recorder: ExecutionRecorder, pool: Pool) -> None:
    async def durable(connection: HeldConnection) -> object:
        return (await connection.fetch("SHOW synchronous_commit"))[0][0]

    assert [await durable(connection) for connection in recorder.start_connections] == ["off"]
    assert [await durable(connection) for connection in recorder.end_connections] == ["on", "on"]
    assert await pool.fetchval("SHOW synchronous_commit") == "on"


async def test_recorder_replaces_a_lost_connection(recorder: ExecutionRecorder, pool: Pool) -> None:
    """A connection that is lost while idle causes no error."""
    await insert_function(pool, "f")
    await recorder.record_started(start("f"))
    terminated = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%requested%unnest%'"
    assert await pool.fetchval(terminated + " AND pid <> pg_backend_pid()") >= 1

    async def lost() -> bool:
        return recorder.start_connections[0].lost

    assert await eventually(lost)
    for _ in range(3):
        assert isinstance(await recorder.record_started(start("f")), Started)

"""Outcomes are recorded, also when the database was away when the guest ended."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from faas.database.held_connection import HeldConnection
from faas.database.pool import Pool
from faas.errors import DatabaseNotReached, DatabaseUnavailable
from faas.executions.recorder import Journal, open_journal
from faas.executions.retry import Outcomes
from faas.executions.service import Executions
from faas.function_ref import FunctionRef
from faas.runtime import Outcome, Runtime
from tests.helpers.support import eventually
from tests.integration.executions.test_liveness import running_execution, status

NOW = datetime.now(UTC)


@pytest.fixture
async def journal(database_url: str, pool: Pool) -> AsyncIterator[Journal]:
    async with open_journal(database_url, pool, UUID(int=1)) as opened:
        yield opened


async def recorded(pool: Pool, execution_id: UUID) -> tuple[str | None, str | None]:
    row = await pool.fetchrow("SELECT output::text, logs FROM executions WHERE id = $1", execution_id)
    assert row
    return row["output"], row["logs"]


async def test_an_outcome_is_recorded_once(pool: Pool, journal: Journal) -> None:
    execution_id = await running_execution(pool, UUID(int=1))
    outcomes = Outcomes(journal)
    assert await outcomes.settle(execution_id, Outcome(output=b'{"n": 1.0e400}', logs="hi"), NOW)
    assert await recorded(pool, execution_id) == ('{"n": 1.0e400}', "hi")
    assert not await outcomes.settle(execution_id, Outcome(error="late"), NOW)
    assert (await status(pool, execution_id))[0] == "COMPLETED"


async def test_an_outcome_that_could_not_be_recorded_is_recorded_later(
    pool: Pool, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = await running_execution(pool, UUID(int=1))
    outcomes = Outcomes(journal)
    with monkeypatch.context() as patch:
        patch.setattr(HeldConnection, "fetch", _away)
        with pytest.raises(DatabaseUnavailable):
            await outcomes.settle(execution_id, Outcome(output=b"1"), NOW)
        await outcomes.flush()
        assert execution_id in outcomes._late
    await outcomes.flush()
    assert (await status(pool, execution_id))[0] == "COMPLETED"
    assert not outcomes._late


async def test_a_document_that_postgres_refuses_is_a_failure_on_record(pool: Pool, journal: Journal) -> None:
    execution_id = await running_execution(pool, UUID(int=1))
    assert await Outcomes(journal).settle(execution_id, Outcome(output=b"no json"), NOW)
    found, error = await status(pool, execution_id)
    assert found == "FAILED"
    assert error
    assert error.startswith("invalid JSON: the database refuses it")


async def _away(*_: object, **__: object) -> None:
    raise DatabaseUnavailable("away")


async def test_what_cannot_have_begun_is_not_kept(
    pool: Pool, journal: Journal, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage under load would fill the memory with the ends of executions that never were."""
    outcomes = Outcomes(journal)
    executions = Executions(pool, runtime, journal, outcomes, 10)

    async def no_connection(*_: object, **__: object) -> None:
        raise OSError("nobody listens")

    with monkeypatch.context() as patch:
        patch.setattr(HeldConnection, "_prepared", no_connection)
        with pytest.raises(DatabaseNotReached):
            await executions.execute(FunctionRef.by_name("echo"), b"{}")
        assert not outcomes._late
        patch.setattr(HeldConnection, "fetch", _away)
        with pytest.raises(DatabaseUnavailable):
            await executions.execute(FunctionRef.by_name("echo"), b"{}")
        assert len(outcomes._late) == 1  # this one may have
    await outcomes.flush()
    assert not outcomes._late


async def test_a_function_that_is_locked_leaves_connections_for_the_others(
    pool: Pool, journal: Journal, runtime: Runtime
) -> None:
    await running_execution(pool, UUID(int=1))
    executions = Executions(pool, runtime, journal, Outcomes(journal), 64)
    await pool.execute("UPDATE functions SET status = 'READY', wasm_binary = 'x'")
    name = await pool.fetchval("SELECT name FROM functions")
    async with pool.acquire() as locking:
        async with locking.transaction():
            await locking.execute("SELECT FROM functions FOR UPDATE")
            waiting = [executions.begin(FunctionRef.by_name(name), b"{}") for _ in range(20)]

            async def blocked() -> bool:
                held = await pool.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND wait_event_type = 'Lock' AND backend_type = 'client backend'"
                )
                return int(held) == 2  # a quarter of the pool

            await eventually(blocked)
            assert await asyncio.wait_for(pool.fetchval("SELECT 1"), 5) == 1
        ended = await asyncio.gather(*waiting)
    assert {execution.status for execution in ended} == {"FAILED"}  # no module: it was only for this

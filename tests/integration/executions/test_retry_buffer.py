"""The retry buffer: outcomes are recorded, also when the database was unavailable when the guest ended."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from faas.caller import ANYONE
from faas.database.held_connection import HeldConnection
from faas.database.pool import Pool
from faas.errors import DatabaseNotReached, DatabaseUnavailable
from faas.executions.model import ExecutionEnd
from faas.executions.recorder import ExecutionRecorder, open_recorder
from faas.executions.retry_buffer import RetryBuffer
from faas.executions.service import ExecutionService
from faas.function_ref import FunctionRef
from faas.runtime import Outcome, Runtime
from tests.helpers.executions import insert_function, insert_running_execution, open_reach, status_of

NOW = datetime.now(UTC)
ECHO = FunctionRef.by_name("echo")


@pytest.fixture
async def recorder(database_url: str, pool: Pool) -> AsyncIterator[ExecutionRecorder]:
    async with open_recorder(database_url, pool, UUID(int=1)) as opened:
        yield opened


async def recorded(pool: Pool, execution_id: UUID) -> tuple[str | None, str | None]:
    row = await pool.fetchrow("SELECT output::text, logs FROM executions WHERE id = $1", execution_id)
    assert row
    return row["output"], row["logs"]


async def unavailable(*_: object, **__: object) -> None:
    raise DatabaseUnavailable("away")


async def test_retry_buffer_records_an_outcome_once(pool: Pool, recorder: ExecutionRecorder) -> None:
    execution_id = await insert_running_execution(pool, UUID(int=1))
    retry_buffer = RetryBuffer(recorder)
    outcome = Outcome(output=b'{"n": 1.0e400}', logs="hi")
    assert await retry_buffer.record(ExecutionEnd(execution_id, outcome, NOW))
    assert await recorded(pool, execution_id) == ('{"n": 1.0e400}', "hi")
    assert not await retry_buffer.record(ExecutionEnd(execution_id, Outcome(error="late"), NOW))
    assert (await status_of(pool, execution_id))[0] == "COMPLETED"


async def test_retry_buffer_keeps_an_outcome_until_the_database_is_available(
    pool: Pool, recorder: ExecutionRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution_id = await insert_running_execution(pool, UUID(int=1))
    retry_buffer = RetryBuffer(recorder)
    with monkeypatch.context() as patch:
        patch.setattr(HeldConnection, "fetch", unavailable)
        with pytest.raises(DatabaseUnavailable):
            await retry_buffer.record(ExecutionEnd(execution_id, Outcome(output=b"1"), NOW))
        await retry_buffer.flush()
        assert execution_id in retry_buffer.unrecorded
    await retry_buffer.flush()
    assert (await status_of(pool, execution_id))[0] == "COMPLETED"
    assert not retry_buffer.unrecorded


async def test_retry_buffer_records_output_that_postgres_refuses_as_failed(
    pool: Pool, recorder: ExecutionRecorder
) -> None:
    execution_id = await insert_running_execution(pool, UUID(int=1))
    assert await RetryBuffer(recorder).record(ExecutionEnd(execution_id, Outcome(output=b"no json"), NOW))
    found, error = await status_of(pool, execution_id)
    assert found == "FAILED"
    assert error
    assert error.startswith("invalid JSON: the database refuses it")


async def test_retry_buffer_does_not_keep_executions_that_cannot_have_started(
    pool: Pool, recorder: ExecutionRecorder, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During an outage under load, they would fill the memory."""
    retry_buffer = RetryBuffer(recorder)
    executions = ExecutionService(pool, runtime, recorder, retry_buffer, open_reach(pool), max_in_flight=10)
    await insert_function(pool, "echo")
    await executions.execute(ANYONE, ECHO, b"{}")  # so that its limits are known

    async def no_connection(*_: object, **__: object) -> None:
        raise OSError("connection refused")

    for connection in recorder.start_connections:
        await connection.close()
    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Pool, "acquire", no_connection)
        with pytest.raises(DatabaseNotReached):
            await executions.execute(ANYONE, ECHO, b"{}")
        assert not retry_buffer.unrecorded
        patch.setattr(HeldConnection, "fetch", unavailable)
        with pytest.raises(DatabaseUnavailable):
            await executions.execute(ANYONE, ECHO, b"{}")
        assert len(retry_buffer.unrecorded) == 1  # this one may have started
    await retry_buffer.flush()
    assert not retry_buffer.unrecorded

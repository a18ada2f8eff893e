"""The execution service: a locked table does not use up the connections that other requests need."""

import asyncio
from uuid import UUID

from faas.caller import ANYONE
from faas.database.pool import Pool
from faas.executions.recorder import open_recorder
from faas.executions.retry_buffer import RetryBuffer
from faas.executions.service import ExecutionService
from faas.function_ref import FunctionRef
from faas.runtime import Runtime
from tests.helpers.executions import insert_function, open_reach
from tests.helpers.support import eventually


async def test_execution_service_locked_table_leaves_connections_to_others(
    database_url: str, pool: Pool, runtime: Runtime
) -> None:
    await insert_function(pool, "locked")
    async with open_recorder(database_url, pool, UUID(int=1)) as recorder, pool.acquire() as locking:
        executions = ExecutionService(
            pool, runtime, recorder, RetryBuffer(recorder), open_reach(pool), max_in_flight=64
        )
        async with locking.transaction():
            await locking.execute("LOCK TABLE executions IN SHARE MODE")
            waiting = [executions.submit(ANYONE, FunctionRef.by_name("locked"), b"{}") for _ in range(20)]

            async def blocked() -> bool:
                held = await pool.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND wait_event_type = 'Lock' AND backend_type = 'client backend'"
                )
                return int(held) == 2  # a quarter of the pool

            await eventually(blocked)
            assert await asyncio.wait_for(pool.fetchval("SELECT 1"), 5) == 1
        ended = await asyncio.gather(*waiting)
    assert {finished.execution.status for finished in ended} == {"FAILED"}  # its module is not WebAssembly

"""The typed statements: each struct has the columns of its statement, in their order."""

import re
from datetime import timedelta
from typing import get_args
from uuid import UUID, uuid4

import msgspec
import pytest
from uuid_utils.compat import uuid7

from faas.caller import ANYONE
from faas.database.pool import Pool, open_pool
from faas.database.queries import sql_folder
from faas.executions import queries
from faas.executions.model import ExecutionRecord, Status
from faas.executions.recorder import open_recorder
from faas.executions.retry_buffer import RetryBuffer
from faas.executions.service import ExecutionService
from faas.function_ref import FunctionRef
from faas.runtime import Runtime
from tests.helpers.executions import insert_function, open_reach
from tests.helpers.retention import create_old_partitions, insert_executions

ROWS: dict[str, type[msgspec.Struct]] = {
    "start_execution": queries.SingleStartRow,
    "start_executions": queries.BatchedStartRow,
    "get_execution": ExecutionRecord,
    "find_limits": queries.LimitsRow,
    "list_executions": queries.ListedExecutionRow,
    "list_older_executions": queries.ListedExecutionRow,
    "list_older_failed": queries.ListedExecutionRow,
    "list_older_running": queries.ListedExecutionRow,
    "list_heartbeats": queries.HeartbeatRow,
}
SINGLE_COLUMNS = {
    "end_executions": "id",
    "find_function_id": "id",
    "keep_plan": "concat_ws",
    "get_module": "wasm",
    "get_settings": "settings",
    "reap_executions": "id",
}
WITHOUT_ROWS = {"send_heartbeat", "deregister_process"}


def statements() -> dict[str, str]:
    """The statements by name, with positional parameters."""
    parts = re.split(
        r"^-- name: (\w+)\((.*)\).*$", (sql_folder() / "queries" / "executions.sql").read_text(), flags=re.MULTILINE
    )
    found = {}
    for name, parameters, body in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        code = re.sub(r"--.*", "", body)
        for number, parameter in enumerate(filter(None, parameters.split(", ")), start=1):
            code = re.sub(rf"(?<!:):{parameter}\b", f"${number}", code)
        found[name] = code
    return found


def test_queries_every_statement_has_its_row_compared() -> None:
    assert set(statements()) == {*ROWS, *SINGLE_COLUMNS, *WITHOUT_ROWS}


@pytest.mark.parametrize("name", [*ROWS, *SINGLE_COLUMNS])
async def test_queries_row_has_the_columns_of_its_statement(pool: Pool, name: str) -> None:
    async with pool.acquire() as connection:
        prepared = await connection.prepare(statements()[name])
        columns = tuple(attribute.name for attribute in prepared.get_attributes())
    assert columns == (ROWS[name].__struct_fields__ if name in ROWS else (SINGLE_COLUMNS[name],))


OLDER: dict[str, tuple[tuple[object, ...], str]] = {
    "list_older_executions": ((["COMPLETED"], 50, 1 << 20), "_function_id_id_idx on"),
    "list_older_failed": ((50, 1 << 20), "_function_id_id_idx1 on"),
    "list_older_running": ((50,), "_process_id_idx on"),
}


@pytest.mark.parametrize("name", OLDER)
async def test_list_older_executions_reads_the_index_in_its_order_although_partitions_are_empty(
    pool: Pool, name: str
) -> None:
    """Its plan is kept while the partitions grow."""
    await create_old_partitions(pool, 3)
    parameters, index = OLDER[name]
    async with pool.acquire() as connection, connection.transaction():
        await queries.keep_plan(connection)
        rows = await connection.fetch("EXPLAIN " + statements()[name], uuid4(), uuid7(), *parameters)
    plan = "\n".join(row[0] for row in rows)
    scans = [line for line in plan.splitlines() if " on executions_" in line]
    assert len(scans) >= 5
    assert all("Index Scan using executions_" in line and index in line for line in scans), plan
    if name != "list_older_running":
        inner = plan[plan.index("Limit") :]
        assert "Merge Append" in inner
        assert "Sort  (" not in inner


@pytest.mark.parametrize("status", [None, "COMPLETED", "FAILED", "RUNNING"])
async def test_list_page_is_planned_once_for_each_connection(
    database_url: str, pool: Pool, runtime: Runtime, status: Status | None
) -> None:
    await create_old_partitions(pool, 3)
    await insert_function(pool, "f")
    async with open_recorder(database_url, pool, UUID(int=1)) as recorder, open_pool(database_url, 1) as single:
        executions = ExecutionService(
            single, runtime, recorder, RetryBuffer(recorder), open_reach(single), max_in_flight=64
        )
        for _ in range(3):
            assert await executions.list(ANYONE, FunctionRef.by_name("f"), limit=50, status=status) == ([], False)
        plans = await single.fetch(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%FROM executions%' "
            "AND strpos(statement, 'pg_prepared_statements') = 0 AND statement NOT LIKE '%$3::uuid IS NULL%'"
        )
    assert [tuple(row) for row in plans] == [(3, 0)]


@pytest.mark.parametrize("status", [None, "COMPLETED", "FAILED", "RUNNING"])
async def test_list_pages_have_the_executions_of_a_status_in_all_partitions(
    database_url: str, pool: Pool, runtime: Runtime, status: Status | None
) -> None:
    await create_old_partitions(pool, 9)
    function_id, other = await insert_function(pool, "f"), await insert_function(pool, "other")
    for each in get_args(Status):
        for owner in (function_id, other):
            await insert_executions(pool, owner, [timedelta(days=age) for age in (0.1, 1.9, 2.1, 5, 7, 8)], each)
    expected = [
        row["id"]
        for row in await pool.fetch(
            "SELECT id FROM executions WHERE function_id = $1 AND ($2::text IS NULL OR status = $2) ORDER BY id DESC",
            function_id,
            status,
        )
    ]
    found: list[UUID] = []
    async with open_recorder(database_url, pool, UUID(int=1)) as recorder:
        executions = ExecutionService(
            pool, runtime, recorder, RetryBuffer(recorder), open_reach(pool), max_in_flight=64
        )
        more = True
        while more:
            page, more = await executions.list(
                ANYONE, FunctionRef.by_name("f"), limit=4, cursor=found[-1] if found else None, status=status
            )
            found += [execution.id for execution in page]
            assert more == (len(found) < len(expected))
    assert found == expected

"""The typed statements: each struct has the columns of its statement, in their order."""

import re
from uuid import uuid4

import msgspec
import pytest
from uuid_utils.compat import uuid7

from faas.database.pool import Pool
from faas.database.queries import sql_folder
from faas.executions import queries
from faas.executions.model import ExecutionRecord
from tests.helpers.retention import create_old_partitions

ROWS: dict[str, type[msgspec.Struct]] = {
    "start_execution": queries.SingleStartRow,
    "start_executions": queries.BatchedStartRow,
    "get_execution": ExecutionRecord,
    "find_limits": queries.LimitsRow,
    "list_executions": queries.ListedExecutionRow,
    "list_older_executions": queries.ListedExecutionRow,
    "list_heartbeats": queries.HeartbeatRow,
}
SINGLE_COLUMNS = {
    "end_executions": "id",
    "find_function_id": "id",
    "keep_plan": "concat_ws",
    "get_module": "wasm",
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


async def test_list_older_executions_reads_the_index_in_its_order_although_partitions_are_empty(pool: Pool) -> None:
    """Its plan is kept while the partitions grow."""
    await create_old_partitions(pool, 3)
    async with pool.acquire() as connection, connection.transaction():
        await queries.keep_plan(connection)
        sql = statements()["list_older_executions"]
        plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN " + sql, uuid4(), uuid7(), 50, 1 << 20))
    inner = plan[plan.index("Limit") :]
    assert "Merge Append" in inner
    assert "Sort  (" not in inner
    assert "Seq Scan" not in inner
    assert inner.count("Index Scan using executions_") >= 5

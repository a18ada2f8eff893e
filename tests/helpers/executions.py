"""Rows of functions and executions, written without the service that writes them in production."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from faas.database.pool import Pool


async def insert_function(pool: Pool, name: str, status: str = "READY") -> UUID:
    """Insert a function. A READY one has its name as its module, which no runtime accepts."""
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


async def insert_running_execution(pool: Pool, process_id: UUID) -> UUID:
    """Insert a RUNNING execution of the process `process_id`, with a function of its own."""
    function_id = await insert_function(pool, f"f{uuid4()}", "PENDING")
    execution_id = uuid4()
    await pool.execute(
        "INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at) "
        "VALUES ($1, $2, 1, $3, '{}', $4, $4)",
        execution_id,
        function_id,
        process_id,
        datetime.now(UTC),
        timeout=5,
    )
    return execution_id


async def status_of(pool: Pool, execution_id: UUID) -> tuple[str, str | None]:
    """Return the status and the error message of an execution."""
    row = await pool.fetchrow("SELECT status, error_message FROM executions WHERE id = $1", execution_id)
    assert row
    return row["status"], row["error_message"]

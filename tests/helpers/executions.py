"""Rows of functions and executions, written without the service that writes them in production."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from uuid_utils.compat import uuid7

from faas.database.pool import Pool
from faas.executions.reach import ReachResolver
from faas.outbound import OutboundClient
from faas.secret_store.key_file import Keyring
from faas.secret_store.vault import SecretVault


def open_reach(pool: Pool) -> ReachResolver:
    """Return what executions may reach in tests in which they reach nothing."""
    return ReachResolver(pool, SecretVault(pool, Keyring(Path("no-such-file"))), OutboundClient())


async def insert_function(pool: Pool, name: str, status: str = "READY") -> UUID:
    """Insert a function with one revision. A READY one has its name as its module, which no runtime accepts."""
    function_id = uuid7()
    digest = hashlib.sha256(name.encode()).digest() if status == "READY" else None
    async with pool.acquire() as connection, connection.transaction():
        if digest:
            await connection.execute(
                "INSERT INTO modules (digest, wasm) VALUES ($1, $2) ON CONFLICT DO NOTHING", digest, name.encode()
            )
        await connection.execute(
            "INSERT INTO functions (id, name, newest_revision, live_revision) VALUES ($1, $2, 1, $3)",
            function_id,
            name,
            1 if digest else None,
        )
        await connection.execute(
            "INSERT INTO revisions (function_id, number, language, source, status, module_digest, contract, "
            "compile_error) VALUES ($1, 1, 'wat', '', $2, $3, $4, $5)",
            function_id,
            status,
            digest,
            "json" if digest else None,
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

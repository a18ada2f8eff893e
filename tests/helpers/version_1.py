"""A database as version 0.1.0 left it: its schema (migrations 0001 to 0004) and rows of every kind."""

import base64
import json
from uuid import UUID, uuid4

import asyncpg
import msgspec
from uuid_utils.compat import uuid7

from faas.database.migrations import migrate
from tests.helpers.support import core_wat, returning_wat, wat

LAST_MIGRATION = 4

_INSERT_FUNCTION = (
    "INSERT INTO functions (id, name, description, language, source, revision, status, wasm_binary, compile_error) "
    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
)
_INSERT_EXECUTION = (
    "INSERT INTO executions (id, function_id, revision, process_id, status, input, output, error_message, logs, "
    "created_at, started_at, completed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() - interval '5 days', "
    "now() - interval '5 days', CASE WHEN $5 <> 'RUNNING' THEN now() END)"
)


class OldFunction(msgspec.Struct, frozen=True, kw_only=True):
    """A function of version 0.1.0, as its row had it."""

    name: str
    status: str
    source: str
    language: str = "wat"
    revision: int = 1
    description: str | None = None
    module: bytes | None = None
    error: str | None = None
    id: UUID = msgspec.field(default_factory=uuid7)


ECHO = wat(core_wat())
FUNCTIONS = {
    function.name: function
    for function in (
        OldFunction(name="echo", status="READY", source=core_wat(), module=ECHO, description="gives back"),
        OldFunction(name="copy", status="READY", source=core_wat() + " ", revision=7, module=ECHO),
        OldFunction(
            name="three", status="READY", source=returning_wat("3"), revision=2, module=wat(returning_wat("3"))
        ),
        OldFunction(name="broken", status="FAILED", source="(module", revision=3, error="1:8: expected `)`"),
        OldFunction(name="pending", status="PENDING", source=returning_wat("4")),
        OldFunction(name="revised", status="PENDING", source=returning_wat("5"), revision=5),
        OldFunction(name="compiling", status="COMPILING", source=returning_wat("6"), revision=2),
        OldFunction(name="compiled", status="COMPILING", source=returning_wat("7"), revision=4),
    )
}


async def create(connection: asyncpg.Connection) -> None:
    """Fill an empty database with the schema of version 0.1.0, FUNCTIONS, and their jobs, results and executions."""
    await migrate(connection, through=LAST_MIGRATION)
    for function in FUNCTIONS.values():
        await connection.execute(
            _INSERT_FUNCTION,
            function.id,
            function.name,
            function.description,
            function.language,
            function.source,
            function.revision,
            function.status,
            function.module,
            function.error,
        )
    for name in ("revised", "compiling"):  # a job that the server of version 0.1.0 had read when it was stopped
        await _send_job(connection, FUNCTIONS[name])
    await connection.execute("SELECT pgmq.read('compilation_jobs', 1, 10)")
    await _send_job(connection, FUNCTIONS["pending"])
    await _send_outdated_job(connection, FUNCTIONS["three"])
    await _send_result(connection, FUNCTIONS["compiled"])
    for name in ("echo", "three", "broken"):  # `broken` was READY once
        for _ in range(3):
            await _insert_execution(connection, FUNCTIONS[name], "COMPLETED", output='{"n": 1.0e400}', logs="hi")
        await _insert_execution(connection, FUNCTIONS[name], "FAILED", error="trap: unreachable")
    await _insert_execution(connection, FUNCTIONS["copy"], "RUNNING")


async def _send_job(connection: asyncpg.Connection, function: OldFunction, revision: int | None = None) -> None:
    job = {
        "functionId": str(function.id),
        "revision": revision or function.revision,
        "language": function.language,
        "source": function.source,
    }
    await connection.execute("SELECT pgmq.send('compilation_jobs', $1::jsonb)", json.dumps(job))


async def _send_outdated_job(connection: asyncpg.Connection, function: OldFunction) -> None:
    """Send the job of an earlier revision, which a PUT replaced before it was compiled."""
    await _send_job(connection, function, function.revision - 1)


async def _send_result(connection: asyncpg.Connection, function: OldFunction) -> None:
    result = {
        "functionId": str(function.id),
        "revision": function.revision,
        "success": True,
        "wasmBinary": base64.b64encode(wat(function.source)).decode(),
        "error": None,
    }
    await connection.execute("SELECT pgmq.send('compilation_results', $1::jsonb)", json.dumps(result))


async def _insert_execution(
    connection: asyncpg.Connection,
    function: OldFunction,
    status: str,
    *,
    output: str | None = None,
    error: str | None = None,
    logs: str | None = None,
) -> None:
    await connection.execute(
        _INSERT_EXECUTION, uuid7(), function.id, 1, uuid4(), status, '{"z": 1.0, "a": "\\u0000"}', output, error, logs
    )

"""Typed functions for the statements of sql/queries/functions.sql, one for each statement.

Each takes a connection, so that the caller's transaction covers the statement. The rows are the structs of
`faas.functions.model`.
"""

from uuid import UUID

from faas.database.pool import Connection
from faas.database.queries import load
from faas.functions.model import Function, FunctionSummary

_sql = load("functions")


async def insert_function(
    connection: Connection, *, function_id: UUID, name: str, description: str | None, language: str, source: str
) -> Function:
    """Insert a function, PENDING. Raises asyncpg.UniqueViolationError when the name is taken."""
    row = await _sql.insert_function(
        connection, function_id=function_id, name=name, description=description, language=language, source=source
    )
    return Function(**row)


async def get_function(connection: Connection, *, function_id: UUID) -> Function | None:
    """Return the function with this id, or None."""
    row = await _sql.get_function(connection, function_id=function_id)
    return Function(**row) if row else None


async def get_function_by_name(connection: Connection, *, name: str) -> Function | None:
    """Return the function with this name, or None."""
    row = await _sql.get_function_by_name(connection, name=name)
    return Function(**row) if row else None


async def lock_function(connection: Connection, *, function_id: UUID) -> Function | None:
    """Return the function with this id, or None, and lock its row until the transaction ends."""
    row = await _sql.lock_function(connection, function_id=function_id)
    return Function(**row) if row else None


async def list_functions(
    connection: Connection, *, cursor: UUID | None, status: str | None, language: str | None, limit: int
) -> list[FunctionSummary]:
    """Return up to `limit` functions, newest first, created before `cursor` where given."""
    rows = _sql.list_functions(connection, cursor=cursor, status=status, language=language, limit=limit)
    return [FunctionSummary(**row) async for row in rows]


async def update_metadata(
    connection: Connection, *, name: str, description: str | None, function_id: UUID
) -> Function | None:
    """Set name and description. Raises asyncpg.UniqueViolationError when the name is taken."""
    row = await _sql.update_metadata(connection, name=name, description=description, function_id=function_id)
    return Function(**row) if row else None


async def start_revision(
    connection: Connection, *, name: str, description: str | None, language: str, source: str, function_id: UUID
) -> Function | None:
    """Set all that a client can set and start the next revision, PENDING.

    Raises asyncpg.UniqueViolationError when the name is taken.
    """
    row = await _sql.start_revision(
        connection, name=name, description=description, language=language, source=source, function_id=function_id
    )
    return Function(**row) if row else None


async def delete_function(connection: Connection, *, function_id: UUID) -> UUID | None:
    """Delete a function, its module and its executions; return its id, or None when there is none."""
    deleted: UUID | None = await _sql.delete_function(connection, function_id=function_id)
    return deleted


async def mark_compiling(connection: Connection, *, function_id: UUID, revision: int | None) -> int | None:
    """Change PENDING to COMPILING; return the revision, or None when nothing changed."""
    changed: int | None = await _sql.mark_compiling(connection, function_id=function_id, revision=revision)
    return changed


async def mark_ready(
    connection: Connection, *, wasm_binary: bytes, function_id: UUID, revision: int | None
) -> int | None:
    """Store the module of a waiting function; return the revision, or None when nothing changed."""
    changed: int | None = await _sql.mark_ready(
        connection, wasm_binary=wasm_binary, function_id=function_id, revision=revision
    )
    return changed


async def mark_failed(
    connection: Connection, *, compile_error: str, function_id: UUID, revision: int | None
) -> int | None:
    """Store the compile error of a waiting function; return the revision, or None when nothing changed."""
    changed: int | None = await _sql.mark_failed(
        connection, compile_error=compile_error, function_id=function_id, revision=revision
    )
    return changed

"""Pages of the executions of a function, newest first."""

import time
from typing import get_args
from uuid import UUID

from faas.database.pool import Connection
from faas.executions import queries
from faas.executions.model import Execution, Status

_RECENT_MILLISECONDS = 2 * 86_400_000  # before a page's cursor: two or three partitions, unless they are made for hours
_MAX_PAGE_BYTES = 8 << 20  # of outputs in one page; a page has at least one execution


async def list_page(
    connection: Connection, function_id: UUID, *, limit: int, cursor: UUID | None, status: str | None
) -> tuple[list[Execution], bool]:
    """Return a page, and whether more follow.

    The days before the cursor are searched first, because planning a statement on all partitions takes milliseconds.
    """
    recent = _recent_id(cursor)
    rows = await queries.list_executions(
        connection, function_id, limit=limit, max_bytes=_MAX_PAGE_BYTES, oldest=recent, cursor=cursor, status=status
    )
    if rows and rows[0].found > len(rows):
        return [*rows], True
    more_items, more_bytes = limit - len(rows), _MAX_PAGE_BYTES - sum(len(row.output or b"") for row in rows)
    before = recent if cursor is None else min(cursor, recent)
    # Of a page that is full, whether more follow is still to be said.
    limit, max_bytes = max(1, more_items), max(1, more_bytes)
    older = await _list_older(connection, function_id, limit=limit, max_bytes=max_bytes, before=before, status=status)
    if more_items < 1 or more_bytes < 1:
        return [*rows], bool(older)
    return [*rows, *older], bool(older) and older[0].found > len(older)


async def _list_older(
    connection: Connection, function_id: UUID, *, limit: int, max_bytes: int, before: UUID, status: str | None
) -> list[queries.ListedExecutionRow]:
    """Return executions before `before` with a plan that the connection keeps."""
    async with connection.transaction():
        await queries.keep_plan(connection)
        if status == "RUNNING":
            return await queries.list_older_running(connection, function_id, limit=limit, before=before)
        if status == "FAILED":
            return await queries.list_older_failed(
                connection, function_id, limit=limit, max_bytes=max_bytes, before=before
            )
        statuses = get_args(Status) if status is None else (status,)
        return await queries.list_older_executions(
            connection, function_id, limit=limit, max_bytes=max_bytes, before=before, statuses=statuses
        )


def _recent_id(cursor: UUID | None) -> UUID:
    """Return the least id of _RECENT_MILLISECONDS before the time of `cursor`, or before now."""
    before = time.time_ns() // 1_000_000 if cursor is None else cursor.int >> 80
    return UUID(int=max(0, before - _RECENT_MILLISECONDS) << 80)

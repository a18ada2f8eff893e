"""Typed functions for the statements of sql/queries/audit.sql, one for each statement."""

from datetime import datetime
from uuid import UUID

import msgspec

from faas.database.pool import Connection
from faas.database.queries import load

_sql = load("audit")


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded change."""

    id: UUID
    at: datetime
    via: str
    token_name: str | None
    action: str
    subject: str
    function_id: UUID | None
    revision: int | None


async def insert_entry(
    connection: Connection,
    *,
    id: UUID,  # noqa: A002 - the name of the column
    via: str,
    token_name: str | None,
    action: str,
    subject: str,
    function_id: UUID | None,
    revision: int | None,
) -> None:
    """Insert a change."""
    await _sql.insert_entry(
        connection,
        id=id,
        via=via,
        token_name=token_name,
        action=action,
        subject=subject,
        function_id=function_id,
        revision=revision,
    )


async def list_entries(connection: Connection, *, cursor: UUID | None, limit: int) -> list[AuditRow]:
    """Return up to `limit` changes, newest first, before `cursor` where given."""
    rows = _sql.list_entries(connection, cursor=cursor, limit=limit)
    return [AuditRow(**row) async for row in rows]

"""Recording changes, and listing them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from faas.audit import queries
from faas.caller import Caller
from faas.database.pool import Connection, Pool, acquire

Action = Literal[
    "function.created",
    "function.updated",
    "function.deployed",
    "function.promoted",
    "function.rolled_back",
    "function.deleted",
    "token.created",
    "token.revoked",
    "secret.set",
    "secret.deleted",
]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change. `subject` is the name of the function, token or secret then; `token_name` is who made the change.

    `via` says how: a request, or the command line on the database. Without authentication `token_name` is None.
    """

    id: UUID
    at: datetime
    via: Literal["api", "database"]
    token_name: str | None
    action: Action
    subject: str
    function_id: UUID | None
    revision: int | None


async def record(
    connection: Connection,
    caller: Caller,
    action: Action,
    subject: str,
    *,
    function_id: UUID | None = None,
    revision: int | None = None,
) -> None:
    """Record a change in the caller's transaction."""
    await queries.insert_entry(
        connection,
        id=uuid7(),
        via=caller.via,
        token_name=caller.token_name,
        action=action,
        subject=subject,
        function_id=function_id,
        revision=revision,
    )


class AuditTrail:
    """The recorded changes in the database of `pool`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list(self, *, limit: int, cursor: UUID | None = None) -> list[AuditEntry]:
        """Return up to `limit` changes, newest first, before `cursor` where given."""
        async with acquire(self._pool) as connection:
            rows = await queries.list_entries(connection, limit=limit, cursor=cursor)
        return [msgspec.convert(row, AuditEntry, from_attributes=True) for row in rows]

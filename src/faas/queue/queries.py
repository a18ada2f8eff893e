"""Typed functions for the statements of sql/queries/queue.sql, one for each statement.

Each takes a connection, so that the caller's transaction covers the statement.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from faas.database.pool import Connection
from faas.database.queries import load

_sql = load("queue")


class MessageRow(msgspec.Struct, frozen=True):
    """One row of `read_messages`; `message` is JSON text."""

    msg_id: int
    read_ct: int
    enqueued_at: datetime
    message: str
    request_id: str | None


class QueueMetricsRow(msgspec.Struct, frozen=True):
    """One row of `measure_queues`."""

    queue_name: str
    queue_length: int
    oldest_seconds: int


async def send_message(connection: Connection, *, queue: str, message: str, headers: str | None) -> int:
    """Send a message and return its id."""
    message_id: int = await _sql.send_message(connection, queue=queue, message=message, headers=headers)
    return message_id


async def read_messages(connection: Connection, *, queue: str, visibility_timeout: int, limit: int) -> list[MessageRow]:
    """Read up to `limit` messages and hide them for `visibility_timeout` seconds."""
    rows = _sql.read_messages(connection, queue=queue, visibility_timeout=visibility_timeout, limit=limit)
    return [MessageRow(**row) async for row in rows]


async def set_visibility_timeout(connection: Connection, *, queue: str, msg_id: int, visibility_timeout: int) -> int:
    """Hide a message for `visibility_timeout` seconds from now; return the number of messages found, 0 or 1."""
    count: int = await _sql.set_visibility_timeout(
        connection, queue=queue, msg_id=msg_id, visibility_timeout=visibility_timeout
    )
    return count


async def archive_message(connection: Connection, *, queue: str, msg_id: int) -> bool:
    """Archive a message; return False when it is no longer in the queue."""
    archived: bool = await _sql.archive_message(connection, queue=queue, msg_id=msg_id)
    return archived


async def archive_and_send(
    connection: Connection, *, queue: str, msg_id: int, answers: str, message: str, headers: str | None
) -> int | None:
    """Archive a message and send another one to `answers`; return its id, or None when the first is not there."""
    message_id: int | None = await _sql.archive_and_send(
        connection, queue=queue, msg_id=msg_id, answers=answers, message=message, headers=headers
    )
    return message_id


async def measure_queues(connection: Connection, *, queues: Sequence[str]) -> list[QueueMetricsRow]:
    """Return length and age of each of `queues`."""
    return [QueueMetricsRow(**row) async for row in _sql.measure_queues(connection, queues=queues)]


async def archive_dead_letter(connection: Connection, *, queue: str, msg_id: int, reason: str) -> bool:
    """Archive a message with `reason` in its headers; return False when it is no longer in the queue."""
    archived: bool = await _sql.archive_dead_letter(connection, queue=queue, msg_id=msg_id, reason=reason)
    return archived

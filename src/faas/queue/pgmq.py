"""pgmq's calls, one function each. All take the connection, so that a caller's transaction covers them."""

from datetime import datetime

import msgspec
import structlog

from faas import metrics
from faas.database import queries
from faas.database.pool import Connection

_sql = queries.load("queue")


class Message(msgspec.Struct, frozen=True):
    """One delivery. `read_count` counts this one; `body` is JSON, UTF-8; `request_id` is the request it comes from."""

    id: int
    read_count: int
    enqueued_at: datetime
    body: bytes
    request_id: str | None = None


def channel(queue: str) -> str:
    """The NOTIFY channel that says something was sent to `queue`."""
    return f"pgmq.q_{queue}.INSERT"


async def send(connection: Connection, queue: str, body: bytes) -> int:
    """Put a message into `queue` when the connection's transaction commits; its id.

    The `request_id` of the log's context goes along: what is done about the message is logged under it too.
    """
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    headers = msgspec.json.encode({"requestId": request_id}).decode() if request_id else None
    message_id: int = await _sql.send(connection, queue=queue, message=body.decode(), headers=headers)
    return message_id


async def read(connection: Connection, queue: str, *, limit: int, visibility: int) -> list[Message]:
    """Up to `limit` messages, hidden from other readers for `visibility` seconds."""
    return [
        Message(
            id=row["msg_id"],
            read_count=row["read_ct"],
            enqueued_at=row["enqueued_at"],
            body=row["message"].encode(),
            request_id=row["request_id"],
        )
        async for row in _sql.read(connection, queue=queue, limit=limit, visibility=visibility)
    ]


async def set_visibility(connection: Connection, queue: str, message_id: int, seconds: int) -> None:
    """Hide the message for `seconds` from now; 0 gives it back at once."""
    await _sql.set_visibility(connection, queue=queue, msg_id=message_id, visibility=seconds)


async def archive(connection: Connection, queue: str, message_id: int) -> bool:
    """Take a finished message out of the queue. False when another reader did so first."""
    archived: bool = await _sql.archive(connection, queue=queue, msg_id=message_id)
    return archived


async def archive_rejected(connection: Connection, queue: str, message_id: int, reason: str) -> bool:
    """Take a message out that cannot be worked on; `reason` stands in the archived row's headers."""
    archived: bool = await _sql.archive_rejected(connection, queue=queue, msg_id=message_id, reason=reason)
    return archived


async def measure(connection: Connection, queues: list[str]) -> None:
    """Set the queue gauges of faas.metrics to what is in the database now."""
    async for row in _sql.measure(connection, queues=queues):
        metrics.QUEUE_MESSAGES.labels(row["queue_name"]).set(row["queue_length"])
        metrics.QUEUE_OLDEST_SECONDS.labels(row["queue_name"]).set(row["oldest_seconds"])

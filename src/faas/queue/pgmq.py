"""The pgmq client: one function for each operation on a queue.

Each function takes a connection, so that the caller's transaction covers the operation.
"""

from datetime import datetime

import msgspec
import structlog

from faas import metrics
from faas.database.pool import Connection
from faas.queue import queries


class Message(msgspec.Struct, frozen=True):
    """One delivery of a message.

    `read_count` includes this delivery; `body` is JSON in UTF-8; `request_id` identifies the request that sent it.
    """

    id: int
    read_count: int
    enqueued_at: datetime
    body: bytes
    request_id: str | None = None


def channel(queue: str) -> str:
    """Return the NOTIFY channel that announces new messages in `queue`."""
    return f"pgmq.q_{queue}.INSERT"


async def send(connection: Connection, queue: str, body: bytes) -> int:
    """Send a message to `queue` and return its id. Readers see it when the connection's transaction commits.

    The `request_id` of the logging context is sent in the headers, so that the consumer logs under the same id.
    """
    return await queries.send_message(connection, queue=queue, message=body.decode(), headers=_headers())


async def read(connection: Connection, queue: str, *, limit: int, visibility_timeout: int) -> list[Message]:
    """Read up to `limit` messages and hide them from other readers for `visibility_timeout` seconds."""
    rows = await queries.read_messages(connection, queue=queue, limit=limit, visibility_timeout=visibility_timeout)
    return [
        Message(
            id=row.msg_id,
            read_count=row.read_ct,
            enqueued_at=row.enqueued_at,
            body=row.message.encode(),
            request_id=row.request_id,
        )
        for row in rows
    ]


async def set_visibility_timeout(connection: Connection, queue: str, message_id: int, seconds: int) -> None:
    """Hide the message for `seconds` from now; 0 makes it visible at once."""
    await queries.set_visibility_timeout(connection, queue=queue, msg_id=message_id, visibility_timeout=seconds)


async def archive(connection: Connection, queue: str, message_id: int) -> bool:
    """Archive a processed message. Return False when another reader archived it first."""
    return await queries.archive_message(connection, queue=queue, msg_id=message_id)


async def answer(connection: Connection, queue: str, message_id: int, answers: str, body: bytes) -> bool:
    """Archive a processed message and send its answer to the queue `answers`, both or neither.

    Return False when another reader archived it first.
    """
    sent = await queries.archive_and_send(
        connection, queue=queue, msg_id=message_id, answers=answers, message=body.decode(), headers=_headers()
    )
    return sent is not None


async def archive_dead_letter(connection: Connection, queue: str, message_id: int, reason: str) -> bool:
    """Archive a message that cannot be processed, with `reason` in its headers.

    Return False when another reader archived it first.
    """
    return await queries.archive_dead_letter(connection, queue=queue, msg_id=message_id, reason=reason)


async def count(connection: Connection, queue: str) -> int:
    """Return the number of messages in `queue`, with those that are being processed."""
    (row,) = await queries.measure_queues(connection, queues=[queue])
    return row.queue_length


async def measure(connection: Connection, queues: list[str]) -> None:
    """Set the queue gauges of faas.metrics from the database."""
    for row in await queries.measure_queues(connection, queues=queues):
        metrics.QUEUE_MESSAGES.labels(row.queue_name).set(row.queue_length)
        metrics.QUEUE_OLDEST_SECONDS.labels(row.queue_name).set(row.oldest_seconds)


def _headers() -> str | None:
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    return msgspec.json.encode({"requestId": request_id}).decode() if request_id else None

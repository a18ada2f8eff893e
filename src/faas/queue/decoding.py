"""Decoding of messages. A message that does not decode becomes a dead letter at its first delivery."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
import structlog

from faas.queue.consumer import Handler
from faas.queue.pgmq import Message

log = structlog.get_logger()
T = TypeVar("T")


async def decode_or_dead_letter(
    message: Message, queue: str, decode: Callable[[bytes], T], handler: Handler
) -> T | None:
    """Return the decoded body of `message`, or None after `handler` has dead-lettered it.

    A message that `decode` rejects with msgspec.DecodeError is not retried: the next delivery would fail as well.
    """
    try:
        return decode(message.body)
    except msgspec.DecodeError as error:
        reason = f"does not decode: {error}"
    log.error("message.dead_lettered", queue=queue, message_id=message.id, reason=reason)
    await handler.dead_letter(message, reason)
    return None

"""One request as the endpoints see it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from faas.compute_module.mock_foundry.answer import invalid

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class ClientGone(Exception):
    """The client went away before it had sent its whole body."""


class Request:
    """Path parameters are decoded; of a repeated query parameter the last counts."""

    def __init__(self, query: bytes, receive: Receive) -> None:
        self.path: Mapping[str, str] = {}
        self.query = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace"))
        self._receive = receive

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes in. Raises ClientGone."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            yield message.get("body", b"")
            more = message.get("more_body", False)

    async def body(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def json(self) -> Any:
        """The body as JSON, None when there is none. Raises Refusal: 400."""
        body = await self.body()
        if not body.strip():
            return None
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise invalid("InvalidBody", reason="not JSON") from None

    def number(self, name: str, default: int, least: int = 0) -> int:
        """A query parameter that is a whole number. Raises Refusal: 400."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) >= least):
            raise invalid("InvalidParameter", parameter=name, value=text)
        return int(text)

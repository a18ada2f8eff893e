"""The request that an endpoint receives."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from faas.compute_module.mock_foundry.responses import bad_request

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class ClientDisconnected(Exception):
    """Raised when the client disconnects before it has sent its whole body."""


class Request:
    """A request: decoded path parameters, query parameters (the last one of each name), and the body."""

    def __init__(self, query: bytes, receive: Receive) -> None:
        self.path: Mapping[str, str] = {}
        self.query = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace"))
        self._receive = receive

    async def chunks(self) -> AsyncIterator[bytes]:
        """Return the chunks of the body as they arrive. Raises ClientDisconnected."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            yield message.get("body", b"")
            more = message.get("more_body", False)

    async def body(self) -> bytes:
        """Return the whole body. Raises ClientDisconnected."""
        return b"".join([chunk async for chunk in self.chunks()])

    async def json(self) -> Any:
        """Return the decoded JSON body, None when it is empty. Raises ErrorResponse 400."""
        body = await self.body()
        if not body.strip():
            return None
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise bad_request("InvalidBody", reason="not JSON") from None

    def number(self, name: str, default: int, least: int = 0) -> int:
        """Return a query parameter that is a whole number. Raises ErrorResponse 400."""
        text = self.query.get(name, "")
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) >= least):
            raise bad_request("InvalidParameter", parameter=name, value=text)
        return int(text)

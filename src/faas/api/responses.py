"""Responses: JSON encoded once by msgspec, for litestar's routes and for the parts of the API that bypass it."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
from litestar import Response
from litestar.types import HTTPResponseStartEvent, Send

_encoder = msgspec.json.Encoder()
_JSON = "application/json"
_JSON_LINES = b"content-type: application/json\r\ncontent-length: %d\r\n"


def encode_headers(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return headers as HTTP/1.1 has them: a line for each."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def json_response(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Return a litestar response with `content` (structs, or a list of them) as application/json."""
    return Response(_encoder.encode(content), status_code=status, media_type="application/json", headers=headers or {})


class Answer(msgspec.Struct, frozen=True):
    """A response to be sent: its encoded body and the headers other than Content-Type and Content-Length."""

    status: int
    body: bytes
    media_type: str = _JSON
    headers: dict[str, str] = {}

    @property
    def head(self) -> list[tuple[bytes, bytes]]:
        """All headers, encoded as ASGI requires."""
        given = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        if self.status == HTTPStatus.NO_CONTENT:
            return given
        return [*given, (b"content-type", self.media_type.encode()), (b"content-length", b"%d" % len(self.body))]

    @property
    def lines(self) -> bytes:
        """The same as lines of HTTP/1.1."""
        if self.headers or self.media_type != _JSON or self.status == HTTPStatus.NO_CONTENT:
            return encode_headers(self.head)
        return _JSON_LINES % len(self.body)  # nearly all answers of the fast path


class EndpointAnswer(msgspec.Struct, frozen=True):
    """The response of a function to be sent: `head` are all its headers but those of the connection."""

    status: int
    body: bytes
    head: list[tuple[bytes, bytes]]

    @property
    def lines(self) -> bytes:
        """The same as lines of HTTP/1.1."""
        return encode_headers(self.head)


AnyAnswer: TypeAlias = Answer | EndpointAnswer


async def send_answer(send: Send, answer: AnyAnswer) -> None:
    """Send `answer` as ASGI messages."""
    start: HTTPResponseStartEvent = {"type": "http.response.start", "status": answer.status, "headers": answer.head}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})

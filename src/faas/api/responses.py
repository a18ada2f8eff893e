"""JSON responses, encoded once by msgspec."""

from typing import Any

import msgspec
from litestar import Response

_encoder = msgspec.json.Encoder()


def json_response(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """`content` (structs, or a list of them) as application/json."""
    return Response(_encoder.encode(content), status_code=status, media_type="application/json", headers=headers or {})


class Answer(msgspec.Struct, frozen=True):
    """A response that is yet to be sent: JSON in `body`, and headers beside its type and length."""

    status: int
    body: bytes
    media_type: str = "application/json"
    headers: dict[str, str] = {}

    @property
    def head(self) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI wants them."""
        given = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        return [*given, (b"content-type", self.media_type.encode()), (b"content-length", b"%d" % len(self.body))]

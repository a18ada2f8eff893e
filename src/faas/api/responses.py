"""JSON responses, encoded once by msgspec."""

from typing import Any

import msgspec
from litestar import Response

_encoder = msgspec.json.Encoder()


def json_response(content: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> Response[bytes]:
    """`content` (structs, or a list of them) as application/json."""
    return Response(_encoder.encode(content), status_code=status, media_type="application/json", headers=headers or {})

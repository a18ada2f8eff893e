"""Responses of the mock Foundry: JSON, files, and errors in Foundry's form."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

JSON = "application/json"
CSV = "text/csv"
BYTES = "application/octet-stream"


class Response(msgspec.Struct, frozen=True):
    """An HTTP response. `body` is bytes, or the path of a file to send."""

    body: bytes | Path = b""
    content_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class ErrorResponse(Exception):
    """Raised to end a request with an error in Foundry's form; `parameters` are part of the error."""

    def __init__(
        self,
        status: int,
        name: str,
        code: str,
        parameters: Mapping[str, object] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(name)
        self.status = status
        self.name = name
        self.code = code
        self.headers = headers
        self.parameters = {key: str(value) for key, value in (parameters or {}).items()}

    def response(self) -> Response:
        """Return the HTTP response; the official SDK requires all four fields of its body."""
        body = {
            "errorCode": self.code,
            "errorName": self.name,
            "errorInstanceId": str(uuid4()),
            "parameters": self.parameters,
        }
        return Response(msgspec.json.encode(body), status=self.status, headers=self.headers)


def json_response(value: Any, status: int = 200) -> Response:
    """Return a response with `value` as JSON."""
    return Response(msgspec.json.encode(value), status=status)


def not_found(name: str = "NotFound", **parameters: object) -> ErrorResponse:
    """Return a 404 error."""
    return ErrorResponse(404, name, "NOT_FOUND", parameters)


def bad_request(name: str, **parameters: object) -> ErrorResponse:
    """Return a 400 error."""
    return ErrorResponse(400, name, "INVALID_ARGUMENT", parameters)


def timestamp(moment: datetime | None = None) -> str:
    """Return a time, by default now, in RFC 3339 and UTC with microseconds."""
    return (moment or datetime.now(UTC)).isoformat().replace("+00:00", "Z")

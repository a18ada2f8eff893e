"""What the stand-in answers: documents, files, and errors in Foundry's form."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

JSON = "application/json"
CSV = "text/csv"
BYTES = "application/octet-stream"


class Answer(msgspec.Struct, frozen=True):
    """One HTTP answer. `body` is bytes, or the path of a file to send."""

    body: bytes | Path = b""
    content_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Refusal(Exception):
    """Ends a request with an error in Foundry's form. `parameters` name what the error is about."""

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

    def answer(self) -> Answer:
        """The error as it is sent; the official SDK needs all four fields."""
        body = {
            "errorCode": self.code,
            "errorName": self.name,
            "errorInstanceId": str(uuid4()),
            "parameters": self.parameters,
        }
        return Answer(msgspec.json.encode(body), status=self.status, headers=self.headers)


def document(value: Any, status: int = 200) -> Answer:
    """`value` as JSON."""
    return Answer(msgspec.json.encode(value), status=status)


def not_found(name: str = "NotFound", **parameters: object) -> Refusal:
    """404."""
    return Refusal(404, name, "NOT_FOUND", parameters)


def invalid(name: str, **parameters: object) -> Refusal:
    """400."""
    return Refusal(400, name, "INVALID_ARGUMENT", parameters)


def timestamp(moment: datetime | None = None) -> str:
    """RFC 3339 in UTC, to the microsecond."""
    return (moment or datetime.now(UTC)).isoformat().replace("+00:00", "Z")

"""The wire format: requests and responses of all resources, JSON with camelCase keys.

Every resource has its own structs here, separate from the models of its package; mappers.py converts between them.
"""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from faas.executions.model import Status as ExecutionStatus
from faas.functions.model import Status as FunctionStatus
from faas.languages import Language
from faas.settings import Role


class FunctionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /functions` and `PUT /functions/{id}`."""

    name: str
    description: str | None = None
    language: Language
    source: str


class FunctionSummaryResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A function in lists: without its source."""

    id: UUID
    name: str
    description: str | None
    language: Language
    status: FunctionStatus
    compile_error: str | None
    revision: int
    created_at: datetime
    updated_at: datetime


class FunctionResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A function with its source."""

    id: UUID
    name: str
    description: str | None
    language: Language
    source: str
    status: FunctionStatus
    compile_error: str | None
    revision: int
    created_at: datetime
    updated_at: datetime


class ExecutionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /functions/{id}/execute`. `input` keeps the bytes that were sent."""

    input: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


class ExecutionResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An execution in lists and in the response of `execute`."""

    id: UUID
    function_id: UUID
    status: ExecutionStatus
    output: msgspec.Raw | None
    error_message: str | None
    created_at: datetime
    started_at: datetime
    completed_at: datetime | None
    duration_ms: float | None


class ExecutionRecordResponse(ExecutionResponse, frozen=True, kw_only=True, rename="camel"):
    """The response of `GET /executions/{id}`: an execution with its input, its logs and the revision that ran."""

    input: msgspec.Raw
    revision: int
    logs: str | None


class Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str


class Health(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The response of `GET /health`. A component is `UP`, `WARMING`, `OFF` or `DOWN: reason`."""

    status: Literal["UP", "DOWN"]
    version: str
    role: Role
    database: str
    consumers: dict[str, str]
    toolchains: dict[str, str]

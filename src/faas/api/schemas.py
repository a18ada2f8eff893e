"""What travels over HTTP: JSON with camelCase keys."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from faas.executions.model import Execution, ExecutionRecord
from faas.languages import Language
from faas.settings import Role


class FunctionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /functions` and `PUT /functions/{id}`."""

    name: str
    description: str | None = None
    language: Language
    source: str


class ExecutionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /functions/{id}/execute`. `input` stays the bytes that were sent."""

    input: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


class ExecutionResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An execution as `execute` and lists answer it."""

    id: UUID
    function_id: UUID
    status: Literal["RUNNING", "COMPLETED", "FAILED"]
    output: msgspec.Raw | None
    error_message: str | None
    created_at: datetime
    started_at: datetime
    completed_at: datetime | None
    duration_ms: float | None


class ExecutionRecordResponse(ExecutionResponse, frozen=True, kw_only=True, rename="camel"):
    """An execution as `GET /executions/{id}` answers it: with its input, what it printed and the revision that ran."""

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
    """The answer of `GET /health`. A part says `UP`, `WARMING`, `OFF` or `DOWN: why`."""

    status: Literal["UP", "DOWN"]
    version: str
    role: Role
    database: str
    consumers: dict[str, str]
    toolchains: dict[str, str]


def execution_response(execution: Execution) -> ExecutionResponse:
    """`execution` for the wire."""
    return ExecutionResponse(**_shared(execution))


def execution_record_response(record: ExecutionRecord) -> ExecutionRecordResponse:
    """`record` for the wire."""
    return ExecutionRecordResponse(
        **_shared(record), input=msgspec.Raw(record.input), revision=record.revision, logs=record.logs
    )


def _shared(execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.id,
        "function_id": execution.function_id,
        "status": execution.status,
        "output": None if execution.output is None else msgspec.Raw(execution.output),
        "error_message": execution.error_message,
        "created_at": execution.created_at,
        "started_at": execution.started_at,
        "completed_at": execution.completed_at,
        "duration_ms": execution.duration_ms,
    }

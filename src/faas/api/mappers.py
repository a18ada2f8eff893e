"""Conversion between the models of the packages and the wire format of schemas.py."""

from typing import Any

import msgspec

from faas.api.schemas import (
    ExecutionRecordResponse,
    ExecutionResponse,
    FunctionRequest,
    FunctionResponse,
    FunctionSummaryResponse,
)
from faas.executions.model import Execution, ExecutionRecord
from faas.functions.model import Function, FunctionDraft, FunctionSummary


def function_draft(request: FunctionRequest) -> FunctionDraft:
    """Return `request` as the functions package takes it."""
    return FunctionDraft(**msgspec.structs.asdict(request))


def function_response(function: Function) -> FunctionResponse:
    """Return `function` in the wire format."""
    return FunctionResponse(**msgspec.structs.asdict(function))


def function_summary_response(summary: FunctionSummary) -> FunctionSummaryResponse:
    """Return `summary` in the wire format."""
    return FunctionSummaryResponse(**msgspec.structs.asdict(summary))


def execution_response(execution: Execution) -> ExecutionResponse:
    """Return `execution` in the wire format."""
    return ExecutionResponse(**_shared_fields(execution))


def execution_record_response(record: ExecutionRecord) -> ExecutionRecordResponse:
    """Return `record` in the wire format."""
    return ExecutionRecordResponse(
        **_shared_fields(record), input=msgspec.Raw(record.input), revision=record.revision, logs=record.logs
    )


def _shared_fields(execution: Execution) -> dict[str, Any]:
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

"""Conversion between the models of the packages and the wire format of schemas.py."""

from typing import Any

import msgspec

from faas.access.model import NewToken, Token, TokenDraft
from faas.api.schemas import (
    AuditEntryResponse,
    ExecutionRecordResponse,
    ExecutionResponse,
    FunctionCreateRequest,
    FunctionResponse,
    FunctionSummaryResponse,
    LatestRevisionResponse,
    NewTokenResponse,
    RevisionResponse,
    SecretResponse,
    TokenCreateRequest,
    TokenResponse,
)
from faas.audit import AuditEntry
from faas.executions.model import Execution, ExecutionRecord
from faas.functions.model import Function, FunctionDraft, FunctionSummary, Revision
from faas.secret_store.model import Secret


def function_draft(request: FunctionCreateRequest) -> FunctionDraft:
    """Return `request` as the functions package takes it."""
    return FunctionDraft(**_fields(request))


def function_response(function: Function) -> FunctionResponse:
    """Return `function` in the wire format."""
    return FunctionResponse(**_fields(function) | {"latest": LatestRevisionResponse(**_fields(function.latest))})


def function_summary_response(summary: FunctionSummary) -> FunctionSummaryResponse:
    """Return `summary` in the wire format."""
    return FunctionSummaryResponse(**_fields(summary) | {"latest": LatestRevisionResponse(**_fields(summary.latest))})


def revision_response(revision: Revision) -> RevisionResponse:
    """Return `revision` in the wire format."""
    return RevisionResponse(**_fields(revision))


def execution_response(execution: Execution) -> ExecutionResponse:
    """Return `execution` in the wire format."""
    return ExecutionResponse(**_shared_fields(execution))


def execution_record_response(record: ExecutionRecord) -> ExecutionRecordResponse:
    """Return `record` in the wire format."""
    return ExecutionRecordResponse(
        **_shared_fields(record),
        input=None if record.input is None else msgspec.Raw(record.input),
        logs=record.logs,
        requests=None if record.requests is None else msgspec.Raw(record.requests),
        payloads_expired=record.payloads_expired,
    )


def token_draft(request: TokenCreateRequest) -> TokenDraft:
    """Return `request` as the access package takes it."""
    return msgspec.convert(_fields(request), TokenDraft)


def token_response(token: Token) -> TokenResponse:
    """Return `token` in the wire format."""
    return TokenResponse(**_fields(token))


def new_token_response(new: NewToken) -> NewTokenResponse:
    """Return a token that was just made, with its text."""
    return NewTokenResponse(**_fields(new.token), token=new.text)


def secret_response(secret: Secret) -> SecretResponse:
    """Return `secret` in the wire format."""
    return SecretResponse(**_fields(secret))


def audit_entry_response(entry: AuditEntry) -> AuditEntryResponse:
    """Return `entry` in the wire format."""
    return AuditEntryResponse(**_fields(entry))


def _fields(struct: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(struct)


def _shared_fields(execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.id,
        "function_id": execution.function_id,
        "revision": execution.revision,
        "status": execution.status,
        "output": None if execution.output is None else msgspec.Raw(execution.output),
        "error_message": execution.error_message,
        "created_at": execution.created_at,
        "started_at": execution.started_at,
        "completed_at": execution.completed_at,
        "duration_ms": execution.duration_ms,
        "invoked_by": execution.invoked_by,
    }

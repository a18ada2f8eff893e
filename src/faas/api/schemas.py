"""The wire format: requests and responses of all resources, JSON with camelCase keys.

Every resource has its own structs here, separate from the models of its package; mappers.py converts between them.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from faas.audit import Action
from faas.caller import Scope
from faas.executions.model import Status as ExecutionStatus
from faas.function_settings import DEFAULT_SETTINGS, FunctionSettings
from faas.functions.model import Status as FunctionStatus
from faas.languages import Language
from faas.runtime import Contract
from faas.settings import Role


class FunctionCreateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /functions`."""

    name: str
    description: str | None = None
    language: Language
    source: str
    settings: FunctionSettings = DEFAULT_SETTINGS


class FunctionUpdateRequest(FunctionCreateRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `PUT /functions/{id}`. With `promote: false` a new revision waits for a decision."""

    promote: bool = True


class PromoteRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /functions/{id}/promote`."""

    revision: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class EmptyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /functions/{id}/rollback`: an empty object, or no body."""


class LatestRevisionResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The newest revision of a function: what its last deploy made."""

    revision: int
    status: FunctionStatus
    compile_error: str | None
    created_at: datetime


class FunctionSummaryResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A function in lists: without its source."""

    id: UUID
    name: str
    description: str | None
    language: Language
    settings: FunctionSettings
    status: FunctionStatus
    compile_error: str | None
    revision: int
    latest: LatestRevisionResponse
    contract: Contract | None
    created_at: datetime
    updated_at: datetime


class FunctionResponse(FunctionSummaryResponse, frozen=True, kw_only=True, rename="camel"):
    """A function with its source."""

    source: str


class RevisionResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A revision of a function."""

    function_id: UUID
    revision: int
    language: Language
    source: str
    settings: FunctionSettings
    status: FunctionStatus
    compile_error: str | None
    contract: Contract | None
    promote: bool
    live: bool
    upgrade_error: str | None
    created_by: str | None
    created_at: datetime


class ExecutionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /functions/{id}/execute`. `input` keeps the bytes that were sent."""

    input: msgspec.Raw = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


class ExecutionResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An execution in lists and in the response of `execute`."""

    id: UUID
    function_id: UUID
    revision: int
    status: ExecutionStatus
    output: msgspec.Raw | None
    error_message: str | None
    created_at: datetime
    started_at: datetime
    completed_at: datetime | None
    duration_ms: float | None
    invoked_by: str | None


class ExecutionRecordResponse(ExecutionResponse, frozen=True, kw_only=True, rename="camel"):
    """The response of `GET /executions/{id}`: an execution with its input and its logs.

    Once its payloads are expired, `input`, `output` and `logs` are null.
    """

    input: msgspec.Raw | None
    logs: str | None
    requests: msgspec.Raw | None
    payloads_expired: bool


class Problem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 9457 problem details.

    `missingScope` is there when a scope of the token is missing, `executionId` when an execution has failed.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    missing_scope: str | msgspec.UnsetType = msgspec.UNSET
    execution_id: UUID | msgspec.UnsetType = msgspec.UNSET


class TokenCreateRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body of `POST /tokens`. `expiresIn` is in seconds, null for never; `functions` has patterns, null for all."""

    name: str
    scopes: list[str]
    functions: list[str] | None = None
    per_second: float | None = None
    expires_in: float | None = None


class TokenResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A token, without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    functions: list[str] | None
    per_second: float | None
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


class NewTokenResponse(TokenResponse, frozen=True, kw_only=True, rename="camel"):
    """The response of `POST /tokens`: `token` is shown this once."""

    token: str


class SecretPutRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body of `PUT /secrets/{name}`. Errors do not repeat what is in it, and `repr` does not show the value."""

    value: str
    hosts: list[str] | None = None
    functions: list[str] = []

    def __repr__(self) -> str:
        """Return the fields without the value."""
        return f"SecretPutRequest(value=…, hosts={self.hosts!r}, functions={self.functions!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return the fields without the value: msgspec's own method returns every field."""
        return [("hosts", self.hosts), ("functions", self.functions)]


class SecretResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A secret, without its value."""

    name: str
    hosts: list[str] | None
    functions: list[str]
    key_id: str
    created_by: str | None
    created_at: datetime
    updated_by: str | None
    updated_at: datetime


class AuditEntryResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A change on record, and the name of the token that made it."""

    id: UUID
    at: datetime
    via: Literal["api", "database"]
    token_name: str | None
    action: Action
    subject: str
    function_id: UUID | None
    revision: int | None


class HealthStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The response of `GET /health` to a client that may not read more."""

    status: Literal["UP", "DOWN"]


class Health(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The response of `GET /health`. A component is `UP`, `WARMING`, `OFF` or `DOWN: reason`."""

    status: Literal["UP", "DOWN"]
    version: str
    role: Role
    database: str
    consumers: dict[str, str]
    toolchains: dict[str, str]
    secrets: str

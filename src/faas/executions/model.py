"""The data of executions: what is recorded at their start and at their end, and what clients are shown."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from faas.function_ref import FunctionRef
from faas.runtime import Outcome

Status = Literal["RUNNING", "COMPLETED", "FAILED"]
FINAL_STATUSES: tuple[Status, ...] = ("COMPLETED", "FAILED")


class ExecutionStart(msgspec.Struct, frozen=True):
    """An execution to record as RUNNING. `input` is a JSON document, UTF-8; `invoked_by` the name of a token.

    `like` is what the name of the function has to fit, None where that is no question.
    """

    id: UUID
    function_ref: FunctionRef
    input: bytes
    started_at: datetime
    invoked_by: str | None
    like: Sequence[str] | None = None


class ExecutionEnd(msgspec.Struct, frozen=True):
    """The outcome of an execution to record as COMPLETED or FAILED."""

    id: UUID
    outcome: Outcome
    completed_at: datetime


class Execution(msgspec.Struct, frozen=True):
    """The record of one invocation. COMPLETED has an output, FAILED an error message; both have an end.

    `invoked_by` is the name of the token that made the call; None without authentication.
    """

    id: UUID
    function_id: UUID
    revision: int
    status: Status
    output: bytes | None
    error_message: str | None
    created_at: datetime
    started_at: datetime
    completed_at: datetime | None
    invoked_by: str | None

    @property
    def duration_ms(self) -> float | None:
        """Milliseconds from start to end; None while the execution is RUNNING."""
        if self.completed_at is None:
            return None
        return max(0.0, round((self.completed_at - self.started_at).total_seconds() * 1000, 3))


class ExecutionRecord(Execution, frozen=True):
    """An execution with its input, the guest's logs, and its outbound requests, a JSON array, None for none.

    Once its payloads are expired, all of them and its output are None.
    """

    input: bytes | None
    logs: str | None
    requests: bytes | None
    payloads_expired: bool

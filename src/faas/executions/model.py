"""What an execution is."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

Status = Literal["RUNNING", "COMPLETED", "FAILED"]
ENDED: tuple[Status, ...] = ("COMPLETED", "FAILED")


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a function. COMPLETED has an output, FAILED an error message; both have an end."""

    id: UUID
    function_id: UUID
    status: Status
    output: bytes | None
    error_message: str | None
    created_at: datetime
    started_at: datetime
    completed_at: datetime | None

    @property
    def duration_ms(self) -> float | None:
        """From start to end in milliseconds; None while it runs."""
        if self.completed_at is None:
            return None
        return max(0.0, round((self.completed_at - self.started_at).total_seconds() * 1000, 3))


class ExecutionRecord(Execution, frozen=True, kw_only=True):
    """An execution with what it was given, what it printed and the function's revision that ran."""

    input: bytes
    revision: int
    logs: str | None

"""The queue messages: all that `functions` and `compile` share, and what a compiler written elsewhere speaks.

`compilation_jobs` carries `CompilationJob`. `compilation_results` carries `CompilationResult` (no `kind`) and, when a
compiler starts, `CompilationStarted` (`"kind": "started"`). Keys are camelCase; unknown keys are ignored, so that
either side can add some.
"""

from typing import Literal
from uuid import UUID

import msgspec

COMPILATION_JOBS = "compilation_jobs"
COMPILATION_RESULTS = "compilation_results"

Language = Literal["assemblyscript", "wat", "wasm"]


class CompilationJob(msgspec.Struct, frozen=True, rename="camel"):
    """Compile `source`; `wasm` sources are base64."""

    function_id: UUID
    revision: int
    language: str
    source: str


class CompilationStarted(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A compiler has picked the job up. Without `revision`: the current one."""

    kind: Literal["started"] = "started"
    function_id: UUID
    revision: int | None = None


class CompilationResult(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What became of a job: `wasm_binary` (base64) on success, else `error`, the compiler's diagnostics."""

    function_id: UUID
    revision: int | None = None
    success: bool
    wasm_binary: str | None = None
    error: str | None = None


class _Kind(msgspec.Struct):
    kind: str | None = None


class _Owner(msgspec.Struct, rename="camel"):
    function_id: UUID
    revision: int | None = None
    kind: str | None = None


def encode(message: CompilationJob | CompilationStarted | CompilationResult) -> bytes:
    """The message as JSON, UTF-8."""
    return msgspec.json.encode(message)


def decode_job(body: bytes) -> CompilationJob:
    """Raises msgspec.DecodeError (of which ValidationError is one) when `body` is no job."""
    return msgspec.json.decode(body, type=CompilationJob)


def decode_result(body: bytes) -> CompilationStarted | CompilationResult:
    """Raises msgspec.DecodeError when `body` is neither a result nor a start."""
    kind = msgspec.json.decode(body, type=_Kind).kind
    if kind is None:
        return msgspec.json.decode(body, type=CompilationResult)
    return msgspec.json.decode(body, type=CompilationStarted)


def owner_of(body: bytes) -> tuple[UUID, int | None] | None:
    """The function (and revision) that waits for this job or result, even when the rest of it does not decode."""
    try:
        owner = msgspec.json.decode(body, type=_Owner)
    except msgspec.DecodeError:
        return None
    return None if owner.kind else (owner.function_id, owner.revision)

"""The queue messages: all that `functions` and `compile` share, and what a compiler written elsewhere speaks.

`compilation_jobs` carries `CompilationJob`. `compilation_results` carries `CompilationResult` (no `kind`) and, when a
compiler starts, `CompilationStarted` (`"kind": "started"`). Keys are camelCase; unknown keys are ignored, so that
either side can add some.
"""

import base64
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

COMPILATION_JOBS = "compilation_jobs"
COMPILATION_RESULTS = "compilation_results"

_WHITESPACE = b" \t\r\n\f\v"  # in base64, where it means nothing

# A Postgres integer, counted from 1.
Revision = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class CompilationJob(msgspec.Struct, frozen=True, rename="camel"):
    """Compile `source`; `wasm` sources are base64."""

    function_id: UUID
    revision: Revision
    language: str
    source: str


class CompilationStarted(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A compiler has picked the job up. Without `revision`: the current one."""

    kind: Literal["started"] = "started"
    function_id: UUID
    revision: Revision | None = None


class CompilationResult(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What became of a job: `wasm_binary` (base64) on success, else `error`, the compiler's diagnostics."""

    function_id: UUID
    revision: Revision | None = None
    success: bool
    wasm_binary: str | None = None
    error: str | None = None


class _Kind(msgspec.Struct):
    kind: str | None = None


class _Owner(msgspec.Struct, rename="camel"):
    function_id: UUID
    revision: Any = None
    kind: Any = None


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
    try:
        revision = msgspec.convert(owner.revision, Revision | None, strict=False)
    except msgspec.ValidationError:
        revision = None
    return None if owner.kind else (owner.function_id, revision)


def decode_binary(text: str) -> bytes:
    """The bytes of a module in base64; line breaks, as Postgres and base64(1) put them in, do not matter.

    Raises ValueError on anything else.
    """
    return base64.b64decode(text.encode("ascii").translate(None, _WHITESPACE), validate=True)

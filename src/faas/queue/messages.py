"""The formats of the queue messages: the interface between `functions` and `compile`, and of external compilers.

`compilation_jobs` carries `CompilationJob`. `compilation_results` carries `CompilationResult` (no `kind`) and, when a
compiler starts, `CompilationStarted` (`"kind": "started"`). Keys are camelCase. Unknown keys are ignored, so that
either side can add keys.
"""

import base64
from typing import Annotated, Literal
from uuid import UUID

import msgspec

COMPILATION_JOBS = "compilation_jobs"
COMPILATION_RESULTS = "compilation_results"

_BASE64_WHITESPACE = b" \t\r\n\f\v"

# The range of a Postgres integer that counts from 1.
Revision = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class CompilationJob(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A request to compile `source`; in the language `wasm` the source is base64.

    `env` are the environment variables that the code at top level sees, and `secrets` the names of those that it must
    not read there.
    """

    function_id: UUID
    revision: Revision
    language: str
    source: str
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()


class CompilationStarted(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A compiler has started the job. Without `revision` it refers to the current one."""

    kind: Literal["started"] = "started"
    function_id: UUID
    revision: Revision | None = None


class CompilationResult(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The result of a job: `wasm_binary` (base64) on success, else `error`, the compiler's diagnostics."""

    function_id: UUID
    revision: Revision | None = None
    success: bool
    wasm_binary: str | None = None
    error: str | None = None


class FunctionRevision(msgspec.Struct, frozen=True):
    """The revision of a function that a message refers to; None where the message names none."""

    function_id: UUID
    revision: int | None


class ImpossibleRevision(msgspec.Struct, frozen=True):
    """The function of a message whose `revision` is nothing that a revision can have as its number."""

    function_id: UUID


class _Kind(msgspec.Struct):
    kind: str | None = None


class _Addressed(msgspec.Struct, rename="camel"):
    function_id: UUID
    revision: object = None
    kind: object = None


def encode(message: CompilationJob | CompilationStarted | CompilationResult) -> bytes:
    """Return the message as JSON in UTF-8."""
    return msgspec.json.encode(message)


def decode_job(body: bytes) -> CompilationJob:
    """Decode a message of `compilation_jobs`. Raises msgspec.DecodeError, of which ValidationError is a subclass."""
    return msgspec.json.decode(body, type=CompilationJob)


def decode_result(body: bytes) -> CompilationStarted | CompilationResult:
    """Decode a message of `compilation_results`. Raises msgspec.DecodeError."""
    kind = msgspec.json.decode(body, type=_Kind).kind
    if kind is None:
        return msgspec.json.decode(body, type=CompilationResult)
    return msgspec.json.decode(body, type=CompilationStarted)


def waiting_function(body: bytes) -> FunctionRevision | ImpossibleRevision | None:
    """Return the function revision that waits for this job or result, even when other fields do not decode.

    None when the function id does not decode, or for a `started` message, for which no function waits.
    """
    try:
        message = msgspec.json.decode(body, type=_Addressed)
    except msgspec.DecodeError:
        return None
    if message.kind == "started":
        return None
    try:
        revision = msgspec.convert(message.revision, Revision | None, strict=False)
    except msgspec.ValidationError:
        return ImpossibleRevision(message.function_id)
    return FunctionRevision(message.function_id, revision)


def decode_binary(text: str) -> bytes:
    """Decode a base64 module; whitespace is ignored, because Postgres and base64(1) insert line breaks.

    Raises ValueError for any other character.
    """
    return base64.b64decode(text.encode("ascii").translate(None, _BASE64_WHITESPACE), validate=True)

"""The handler of the queue compilation_results (flows 1, 2 and 6, on the side of `functions`).

Any compiler can send a result, so its module is checked here before READY. The update and the archiving of the message
are one transaction, and the update is guarded by status and revision: a duplicate, late or outdated result changes
nothing.
"""

import msgspec
import structlog

from faas.database.pool import Pool, acquire
from faas.functions import queries
from faas.queue import messages, pgmq
from faas.queue.decoding import decode_or_dead_letter
from faas.queue.messages import CompilationResult, CompilationStarted
from faas.queue.pgmq import Message
from faas.runtime import Runtime

log = structlog.get_logger()
_QUEUE = messages.COMPILATION_RESULTS
_COMPILE_ERROR_LIMIT_CHARACTERS = 64 << 10


class CheckedModule(msgspec.Struct, frozen=True):
    """A module that the runtime accepts."""

    binary: bytes


class NoModule(msgspec.Struct, frozen=True):
    """Why a function has no module."""

    text: str


class CompileResultHandler:
    """Applies the messages of `compilation_results` to the functions."""

    def __init__(self, pool: Pool, runtime: Runtime) -> None:
        self._pool = pool
        self._runtime = runtime

    async def handle(self, message: Message) -> None:
        """Apply one message and archive it, in one transaction."""
        decoded = await decode_or_dead_letter(message, _QUEUE, messages.decode_result, self)
        if isinstance(decoded, CompilationStarted):
            await self._apply_started(message, decoded)
        elif decoded is not None:
            await self._apply_result(message, decoded)

    async def dead_letter(self, message: Message, reason: str) -> None:
        """Archive the message with `reason` and set the function that waits for it to FAILED."""
        waiting = messages.waiting_function(message.body)
        async with acquire(self._pool) as connection, connection.transaction():
            if waiting:
                error = _storable(f"the compiler's answer could not be used: {reason}")
                await queries.mark_failed(
                    connection, function_id=waiting.function_id, revision=waiting.revision, compile_error=error
                )
            await pgmq.archive_dead_letter(connection, _QUEUE, message.id, _storable(reason))

    async def _apply_started(self, message: Message, started: CompilationStarted) -> None:
        async with acquire(self._pool) as connection, connection.transaction():
            await queries.mark_compiling(connection, function_id=started.function_id, revision=started.revision)
            await pgmq.archive(connection, _QUEUE, message.id)

    async def _apply_result(self, message: Message, result: CompilationResult) -> None:
        checked = await self._check(result)
        function_id, revision = result.function_id, result.revision
        async with acquire(self._pool) as connection, connection.transaction():
            if isinstance(checked, CheckedModule):
                applied = await queries.mark_ready(
                    connection, function_id=function_id, revision=revision, wasm_binary=checked.binary
                )
            else:
                applied = await queries.mark_failed(
                    connection, function_id=function_id, revision=revision, compile_error=_storable(checked.text)
                )
            await pgmq.archive(connection, _QUEUE, message.id)
        log.info(
            "compilation_result.applied" if applied is not None else "compilation_result.outdated",
            function_id=str(function_id),
            revision=revision if applied is None else applied,
            status="READY" if isinstance(checked, CheckedModule) else "FAILED",
        )

    async def _check(self, result: CompilationResult) -> CheckedModule | NoModule:
        """Decode the module of `result` and check it with the runtime."""
        if not result.success:
            return NoModule(result.error or "the compiler failed without saying why")
        if result.wasm_binary is None:
            return NoModule("the compiler reported success without a module")
        try:
            binary = messages.decode_binary(result.wasm_binary)
        except ValueError as error:
            return NoModule(f"the compiler's module is not base64: {error}")
        fault = await self._runtime.check(binary)
        return NoModule(fault) if fault else CheckedModule(binary)


def _storable(text: str) -> str:
    """Return `text` without NUL, which Postgres cannot store, and cut at the limit for compile errors."""
    excess = len(text) - _COMPILE_ERROR_LIMIT_CHARACTERS
    shown = text if excess <= 0 else f"{text[:_COMPILE_ERROR_LIMIT_CHARACTERS]}\n… {excess} more characters"
    return shown.replace("\0", "\\u0000")

"""The compilation_results handler (Flows 1, 2 and 6, the platform's side).

A result comes from whatever compiled it, so its module is checked here before READY. The update and the archiving of
the message are one transaction, and the update is guarded by status and revision: a result that is read twice, late or
for an older revision changes nothing.
"""

import msgspec
import structlog

from faas.database import queries
from faas.database.pool import Pool, acquire
from faas.queue import messages
from faas.queue import pgmq as queue
from faas.queue.messages import CompilationResult, CompilationStarted
from faas.queue.pgmq import Message
from faas.runtime import Runtime

log = structlog.get_logger()
_sql = queries.load("functions")
_QUEUE = messages.COMPILATION_RESULTS
_ERROR_LIMIT = 64 << 10  # characters


class CompilationResults:
    """Applies the messages of `compilation_results` to the functions."""

    def __init__(self, pool: Pool, runtime: Runtime) -> None:
        self._pool = pool
        self._runtime = runtime

    async def handle(self, message: Message) -> None:
        """Apply one message and archive it, in one transaction."""
        try:
            decoded = messages.decode_result(message.body)
        except msgspec.DecodeError as error:
            log.error("compilation_result.undecodable", message_id=message.id, error=str(error))
            await self.give_up(message, f"does not decode: {error}")
            return
        if isinstance(decoded, CompilationStarted):
            await self._apply_started(message, decoded)
        else:
            await self._apply_result(message, decoded)

    async def give_up(self, message: Message, reason: str) -> None:
        """Archive with `reason`; the function that waits for this message is FAILED, so that nobody waits forever."""
        owner = messages.owner_of(message.body)
        async with acquire(self._pool) as connection, connection.transaction():
            if owner:
                error = f"the compiler's answer could not be used: {reason}"
                await _sql.mark_failed(connection, id=owner[0], revision=owner[1], compile_error=_storable(error))
            await queue.archive_rejected(connection, _QUEUE, message.id, _storable(reason))

    async def _apply_started(self, message: Message, started: CompilationStarted) -> None:
        async with acquire(self._pool) as connection, connection.transaction():
            await _sql.mark_compiling(connection, id=started.function_id, revision=started.revision)
            await queue.archive(connection, _QUEUE, message.id)

    async def _apply_result(self, message: Message, result: CompilationResult) -> None:
        binary, error = await self._judge(result)
        async with acquire(self._pool) as connection, connection.transaction():
            if binary is not None:
                revision = await _sql.mark_ready(
                    connection, id=result.function_id, revision=result.revision, wasm_binary=binary
                )
            else:
                revision = await _sql.mark_failed(
                    connection, id=result.function_id, revision=result.revision, compile_error=_storable(error)
                )
            await queue.archive(connection, _QUEUE, message.id)
        log.info(
            "compilation_result.applied" if revision is not None else "compilation_result.outdated",
            function_id=str(result.function_id),
            revision=result.revision if revision is None else revision,
            status="FAILED" if binary is None else "READY",
        )

    async def _judge(self, result: CompilationResult) -> tuple[bytes | None, str]:
        """The module when it can be run, else None and why."""
        if not result.success:
            return None, result.error or "the compiler failed without saying why"
        if result.wasm_binary is None:
            return None, "the compiler reported success without a module"
        try:
            binary = messages.decode_binary(result.wasm_binary)
        except ValueError as error:
            return None, f"the compiler's module is not base64: {error}"
        fault = await self._runtime.check(binary)
        return (None, fault) if fault else (binary, "")


def _storable(text: str) -> str:
    """`text` as Postgres can hold it, without NUL, and as people can read it: not more than so much."""
    shown = (
        text if len(text) <= _ERROR_LIMIT else f"{text[:_ERROR_LIMIT]}\n… {len(text) - _ERROR_LIMIT} more characters"
    )
    return shown.replace("\0", "\\u0000")

"""The handler of the queue compilation_results (flows 1, 2 and 6, on the side of `functions`).

Any compiler can send a result, so its module is checked here before READY. One transaction applies the result, makes
the revision live where it is to be, and archives the message. A duplicate or late result changes nothing: it
is applied only to a revision that waits for it.
"""

import hashlib
from uuid import UUID

import msgspec
import structlog

from faas.database.pool import Connection, Pool, acquire
from faas.engines import EngineMissing, EngineStore
from faas.functions import live, queries
from faas.functions.queries import LockedFunctionRow
from faas.languages import ENGINE_LANGUAGES
from faas.queue import messages, pgmq
from faas.queue.decoding import decode_or_dead_letter
from faas.queue.messages import CompilationResult, CompilationStarted, FunctionRevision, ImpossibleRevision
from faas.queue.pgmq import Message
from faas.runtime import Contract, Runtime, images

log = structlog.get_logger()
_QUEUE = messages.COMPILATION_RESULTS
_COMPILE_ERROR_LIMIT_CHARACTERS = 64 << 10
_MUST_ECHO_REVISION = "the compiler must echo `revision`"
_FOREIGN_IMAGE = (
    "the module has a custom section faas.engine, which only functions in "
    f"{', '.join(ENGINE_LANGUAGES)} may have: the compiler must remove it"
)


class CheckedModule(msgspec.Struct, frozen=True):
    """A module that the runtime accepts. `engine` is the digest of the engine that an image needs."""

    binary: bytes
    contract: Contract
    engine: bytes | None


class NoModule(msgspec.Struct, frozen=True):
    """Why a revision has no module."""

    text: str


class CompileResultHandler:
    """Applies the messages of `compilation_results` to the revisions of functions."""

    def __init__(self, pool: Pool, runtime: Runtime, engines: EngineStore) -> None:
        self._pool = pool
        self._runtime = runtime
        self._engines = engines

    async def handle(self, message: Message) -> None:
        """Apply one message and archive it, in one transaction."""
        decoded = await decode_or_dead_letter(message, _QUEUE, messages.decode_result, self)
        if isinstance(decoded, CompilationStarted):
            await self._apply_started(message, decoded)
        elif decoded is not None:
            await self._apply_result(message, decoded)

    async def dead_letter(self, message: Message, reason: str) -> None:
        """Archive the message with `reason` and set the revision that waits for it to FAILED."""
        waiting = messages.waiting_function(message.body)
        error = f"the compiler's answer could not be used: {reason}"
        async with acquire(self._pool) as connection, connection.transaction():
            function = await queries.lock_function(connection, function_id=waiting.function_id) if waiting else None
            archived = await pgmq.archive_dead_letter(connection, _QUEUE, message.id, _storable(reason))
            if waiting and function and archived:
                number = await _waiting_revision(connection, function, waiting)
                await _fail_waiting(connection, function.id, number, error)

    async def _apply_started(self, message: Message, started: CompilationStarted) -> None:
        async with acquire(self._pool) as connection, connection.transaction():
            number = started.revision
            if number is None:
                function = await queries.lock_function(connection, function_id=started.function_id)
                number = None if function is None else _single_revision(function)
            if number is not None:
                await queries.mark_compiling(connection, function_id=started.function_id, number=number)
            await pgmq.archive(connection, _QUEUE, message.id)

    async def _apply_result(self, message: Message, result: CompilationResult) -> None:
        checked = await self._check(result)
        applied: int | None = None
        async with acquire(self._pool) as connection, connection.transaction():
            # The lock orders results, deploys, promotions and rollbacks of one function.
            function = await queries.lock_function(connection, function_id=result.function_id)
            if function is not None:
                number = _addressed_revision(function, result.revision)
                if number is None:
                    await _reject_unaddressed(connection, message, function)
                    return
                if await _apply(connection, function, number, checked):
                    applied = number
            await pgmq.archive(connection, _QUEUE, message.id)
        log.info(
            "compilation_result.applied" if applied is not None else "compilation_result.outdated",
            function_id=str(result.function_id),
            revision=result.revision if applied is None else applied,
            status="READY" if isinstance(checked, CheckedModule) else "FAILED",
        )

    async def _check(self, result: CompilationResult) -> CheckedModule | NoModule:
        """Decode the module of `result` and check it with the runtime."""
        binary = _decode(result)
        if isinstance(binary, NoModule):
            return binary
        if images.carries_engine(binary) and not await self._runs_in_an_engine(result):
            return NoModule(_FOREIGN_IMAGE)
        fault = await self._runtime.check(binary)
        contract = None if fault else await self._runtime.contract(binary)
        if contract is None:
            return NoModule(fault or "the module cannot be executed")
        engine = images.engine_of(binary)
        try:
            if engine is not None:
                await self._engines.keep(engine)
        except EngineMissing as missing:
            return NoModule(f"the image cannot be stored: {missing}")
        return CheckedModule(binary, contract, engine)

    async def _runs_in_an_engine(self, result: CompilationResult) -> bool:
        """Return True if the revision of `result` is written in a language whose functions are images of an engine."""
        async with acquire(self._pool) as connection:
            language = await queries.find_language(connection, function_id=result.function_id, number=result.revision)
        return language in ENGINE_LANGUAGES


def _decode(result: CompilationResult) -> bytes | NoModule:
    if not result.success:
        return NoModule(result.error or "the compiler failed without saying why")
    if result.wasm_binary is None:
        return NoModule("the compiler reported success without a module")
    try:
        return messages.decode_binary(result.wasm_binary)
    except ValueError as error:
        return NoModule(f"the compiler's module is not base64: {error}")


def _addressed_revision(function: LockedFunctionRow, revision: int | None) -> int | None:
    """Return the revision that a message is for; None for one without `revision` where there are several."""
    return _single_revision(function) if revision is None else revision


def _single_revision(function: LockedFunctionRow) -> int | None:
    """Return the only revision that the function has had, None where there were several.

    Revisions that were removed count: a late result without `revision` may be for one of them.
    """
    return function.newest_revision if function.newest_revision == function.first_revision else None


async def _waiting_revision(
    connection: Connection, function: LockedFunctionRow, waiting: FunctionRevision | ImpossibleRevision
) -> int | None:
    """Return the revision that a dead letter fails. One that names an impossible revision fails no other one."""
    if isinstance(waiting, ImpossibleRevision):
        return _single_revision(function)
    return waiting.revision or await queries.find_waiting(connection, function_id=function.id)


async def _apply(
    connection: Connection, function: LockedFunctionRow, number: int, checked: CheckedModule | NoModule
) -> bool:
    """Apply the result to the revision, which goes live if it is to. Returns False when it does not wait for one."""
    if isinstance(checked, NoModule):
        failed = await queries.mark_failed(
            connection, function_id=function.id, number=number, compile_error=_storable(checked.text)
        )
        if failed is not None:
            await queries.touch_function(connection, function_id=function.id)
        return failed is not None
    digest = hashlib.sha256(checked.binary).digest()
    await queries.store_module(connection, module_digest=digest, module=checked.binary, engine=checked.engine)
    promote = await queries.mark_ready(
        connection, function_id=function.id, number=number, module_digest=digest, contract=checked.contract
    )
    if promote is None:
        return False
    if await live.goes_live(connection, function, number, promote=promote):
        await live.make_live(connection, function, number)
    else:
        await queries.touch_function(connection, function_id=function.id)
    return True


async def _reject_unaddressed(connection: Connection, message: Message, function: LockedFunctionRow) -> None:
    """Archive a result without `revision` as a dead letter: any of the function's revisions could be meant."""
    if not await pgmq.archive_dead_letter(connection, _QUEUE, message.id, _MUST_ECHO_REVISION):
        return  # a second delivery; failing would concern another revision
    number = await queries.find_waiting(connection, function_id=function.id)
    await _fail_waiting(connection, function.id, number, _MUST_ECHO_REVISION)
    log.error("message.dead_lettered", queue=_QUEUE, message_id=message.id, reason=_MUST_ECHO_REVISION)


async def _fail_waiting(connection: Connection, function_id: UUID, number: int | None, error: str) -> None:
    """Set a revision to FAILED if it waits for a result."""
    if number is not None:
        await queries.mark_failed(connection, function_id=function_id, number=number, compile_error=_storable(error))


def _storable(text: str) -> str:
    """Return `text` without NUL, which Postgres cannot store, and cut at the limit for compile errors."""
    excess = len(text) - _COMPILE_ERROR_LIMIT_CHARACTERS
    shown = text if excess <= 0 else f"{text[:_COMPILE_ERROR_LIMIT_CHARACTERS]}\n… {excess} more characters"
    return shown.replace("\0", "\\u0000")

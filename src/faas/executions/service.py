"""Executing functions, and reading the records of executions (Flows 3, 4 and 5).

The RUNNING row is committed before the guest runs, and the outcome before the client gets its answer. No transaction is
open while the guest runs.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NoReturn
from uuid import UUID

import msgspec
import structlog
from prometheus_client import Histogram
from uuid_utils.compat import uuid7

from faas import metrics
from faas.caller import Caller
from faas.database.pool import Pool, acquire
from faas.errors import (
    DatabaseNotReached,
    ExecutionNotFound,
    FunctionLimitReached,
    FunctionNotFound,
    FunctionNotReady,
    NotAuthenticated,
    NotFound,
    PayloadTooLarge,
    Saturated,
    SecretUnavailable,
)
from faas.executions import queries
from faas.executions.admission import Admission, KnownLimits
from faas.executions.function_metrics import FunctionMetrics
from faas.executions.http_record import request_document, response_document
from faas.executions.model import FINAL_STATUSES, Execution, ExecutionEnd, ExecutionRecord, ExecutionStart, Status
from faas.executions.pages import list_page
from faas.executions.reach import ReachResolver
from faas.executions.recorder import ExecutionRecorder, NotStarted, Started, not_found
from faas.executions.retry_buffer import RetryBuffer
from faas.executions.shared_admission import SharedAdmission
from faas.function_ref import FunctionRef
from faas.function_settings import decode_limits
from faas.runtime import HttpRequest, Outcome, Runtime
from faas.shared_limits import SharedLimits
from faas.units import format_size

log = structlog.get_logger()

_duration_seconds: dict[Status, Histogram] = {
    status: metrics.EXECUTION_SECONDS.labels(status) for status in FINAL_STATUSES
}
RETRY_AFTER_SECONDS = 1  # most executions are short
_PUBLIC_SHARE = 0.75  # of the executions in flight: what callers without a token leave to those with one


class Finished(msgspec.Struct, frozen=True):
    """An execution that has ended. `outcome` is None for one that a peer has taken for interrupted."""

    execution: Execution
    outcome: Outcome | None


class ExecutionService:
    """Executes functions in `runtime`, and records their starts in `recorder` and their ends through `retry_buffer`.

    `reach` says what each may reach. At most `max_in_flight` executions run at once, of which callers without a token
    have a share: in this process, or in all those that have `shared`. Use from one event loop.
    """

    def __init__(
        self,
        pool: Pool,
        runtime: Runtime,
        recorder: ExecutionRecorder,
        retry_buffer: RetryBuffer,
        reach: ReachResolver,
        *,
        max_in_flight: int,
        shared: SharedLimits | None = None,
    ) -> None:
        self._pool = pool
        self._runtime = runtime
        self._recorder = recorder
        self._retry_buffer = retry_buffer
        self._reach = reach
        self._max_in_flight = max_in_flight
        self._max_public = max(1, int(max_in_flight * _PUBLIC_SHARE))
        self._public_in_flight = 0
        self._shared = shared
        self._admission = SharedAdmission(shared.functions) if shared else Admission()
        self._function_metrics = FunctionMetrics()
        self._in_flight: set[asyncio.Task[Finished]] = set()
        # Counted when it is read: each change of a gauge takes a lock.
        metrics.EXECUTIONS_IN_FLIGHT.set_function(lambda: len(self._in_flight))

    async def execute(self, caller: Caller, function_ref: FunctionRef, input_json: bytes) -> Execution:
        """Execute a function on `input_json`, a JSON object, and record it.

        Raises FunctionNotFound, RevisionNotFound, FunctionNotReady, FunctionLimitReached, PayloadTooLarge, Saturated;
        DatabaseUnavailable when the execution could not be recorded. A failure of the function's code is a FAILED
        execution, not an exception.
        """
        # Shielded: a client disconnect must not cancel a started execution.
        return (await asyncio.shield(self.submit(caller, function_ref, input_json))).execution

    def submit(self, caller: Caller, function_ref: FunctionRef, given: bytes | HttpRequest) -> "asyncio.Task[Finished]":
        """Start an execution as a task, which must not be cancelled. `given` is an input, or an HTTP request.

        Raises FunctionNotFound for a name that the caller may not reach, PayloadTooLarge and Saturated itself.
        """
        caller.check_reference(function_ref)
        limit, size = self._runtime.limits.input, len(given if isinstance(given, bytes) else given.body)
        if size > limit:
            raise PayloadTooLarge("input", limit, f"{size} bytes; the limit is {format_size(limit)}")
        full = len(self._in_flight) >= self._max_in_flight
        if full or (caller.public_only and self._public_in_flight >= self._max_public):
            self._refuse(self._max_in_flight if full else self._max_public)
        if self._shared is not None:
            self._enter_shared(self._shared, caller)
        task = asyncio.create_task(self._execute(caller, function_ref, given))
        self._in_flight.add(task)
        task.add_done_callback(self._on_task_done)
        if caller.public_only:
            self._public_in_flight += 1
            task.add_done_callback(self._on_public_task_done)
        return task

    async def drain(self, grace_seconds: float) -> None:
        """Wait for all executions, also of clients that have disconnected; after `grace_seconds` interrupt them.

        Interrupted executions are recorded as FAILED.
        """
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=grace_seconds)
        if self._in_flight:
            self._runtime.interrupt()
            await asyncio.wait(self._in_flight)

    def _enter_shared(self, shared: SharedLimits, caller: Caller) -> None:
        """Count an execution among those of all processes. Raises Saturated."""
        if caller.public_only and not shared.public_executions.enter(self._max_public):
            self._refuse(self._max_public)
        if not shared.executions.enter(self._max_in_flight):
            if caller.public_only:
                shared.public_executions.leave()
            self._refuse(self._max_in_flight)

    @staticmethod
    def _refuse(limit: int) -> NoReturn:
        metrics.EXECUTIONS_REFUSED.inc()
        raise Saturated(limit, RETRY_AFTER_SECONDS)

    def _on_public_task_done(self, _task: "asyncio.Task[Finished]") -> None:
        self._public_in_flight -= 1
        if self._shared is not None:
            self._shared.public_executions.leave()

    def _on_task_done(self, task: "asyncio.Task[Finished]") -> None:
        self._in_flight.discard(task)
        if self._shared is not None:
            self._shared.executions.leave()
        if not task.cancelled():
            # Retrieved so that asyncio does not log it: the caller, if still connected, gets it from the task.
            task.exception()

    async def _execute(self, caller: Caller, function_ref: FunctionRef, given: bytes | HttpRequest) -> Finished:
        # A name is checked already. What an id names, only the database knows.
        like = None if function_ref.id is None else caller.like
        known = self._admit_known(caller, function_ref) if like is None else None
        if known is None:
            known = await self._look_up_and_admit(caller, function_ref, like)
        try:
            recorded = given if isinstance(given, bytes) else await request_document(given)
            start = ExecutionStart(uuid7(), function_ref, recorded, datetime.now(UTC), caller.token_name, like)
            started = await self._record_started(start)
            ran = KnownLimits(started.function_id, started.limits, started.public)
            if ran != known:
                self._admission.correct(function_ref, known, ran)
            if caller.public_only and not started.public:  # a deploy came between
                await self._end(start, Outcome(error="interrupted: this revision asks for a token"))
                raise NotAuthenticated
            return await self._run(start, started, given)
        except (NotFound, FunctionNotReady):
            self._admission.forget(function_ref)
            raise
        finally:
            self._admission.leave(known)

    async def check_public(self, function_ref: FunctionRef) -> None:
        """Raise NotAuthenticated unless anyone may call the function; FunctionNotFound, DatabaseUnavailable."""
        known = self._admission.get_known(function_ref)
        if (known is None or not known.public) and not (await self._look_up_limits(function_ref, None)).public:
            raise NotAuthenticated

    def _admit_known(self, caller: Caller, function_ref: FunctionRef) -> KnownLimits | None:
        """Count the execution among those of its function. Returns None where its limits are to be looked up.

        Raises FunctionLimitReached.
        """
        known = self._admission.get_known(function_ref)
        # A refusal as private is always looked up: a deploy may have made the function public, and one that is known
        # must not answer sooner than one that does not exist.
        if known is None or (caller.public_only and not known.public):
            return None
        try:
            self._admission.enter(function_ref, known)
        except FunctionLimitReached:
            if self._admission.may_be_outdated(function_ref):
                return None
            metrics.EXECUTIONS_REFUSED.inc()
            raise
        return known

    async def _look_up_and_admit(
        self, caller: Caller, function_ref: FunctionRef, like: Sequence[str] | None
    ) -> KnownLimits:
        """Count the execution among those of its function.

        Raises FunctionLimitReached, NotAuthenticated, and what the lookup raises. A caller who may not call the
        function is not counted: it would use up the limits of those who may.
        """
        try:
            known = await self._look_up_limits(function_ref, like)
            if caller.public_only and not known.public:
                raise NotAuthenticated
            self._admission.enter(function_ref, known)
        except NotFound:  # deleted since
            self._admission.forget(function_ref)
            raise
        except FunctionLimitReached:
            metrics.EXECUTIONS_REFUSED.inc()
            raise
        return known

    async def _end(self, start: ExecutionStart, outcome: Outcome) -> datetime | None:
        """Record the end; return its time, or None where a peer has reaped the execution, or its function is gone."""
        completed_at = max(start.started_at, datetime.now(UTC))
        return completed_at if await self._retry_buffer.record(ExecutionEnd(start.id, outcome, completed_at)) else None

    async def _run(self, start: ExecutionStart, started: Started, given: bytes | HttpRequest) -> Finished:
        outcome = await self._run_guest(start, started, given)
        recorded = outcome
        if outcome.response is not None:
            recorded = msgspec.structs.replace(outcome, output=await response_document(outcome.response))
        completed_at = await self._end(start, recorded)
        if completed_at is None:
            return Finished(await self._get(start.id), None)
        execution = Execution(
            id=start.id,
            function_id=started.function_id,
            revision=started.revision,
            status="FAILED" if outcome.error else "COMPLETED",
            output=recorded.output,
            error_message=outcome.error,
            created_at=start.started_at,
            started_at=start.started_at,
            completed_at=completed_at,
            invoked_by=start.invoked_by,
        )
        duration_ms = execution.duration_ms or 0.0
        _duration_seconds[execution.status].observe(duration_ms / 1000)
        self._function_metrics.count(
            started.function_name, live=started.live, status=execution.status, inline=outcome.inline
        )
        log.info(
            "execution.finished",
            execution_id=execution.id,
            function_id=execution.function_id,
            revision=started.revision,
            status=execution.status,
            duration_ms=duration_ms,
        )
        return Finished(execution, outcome)

    async def _look_up_limits(self, function_ref: FunctionRef, like: Sequence[str] | None) -> KnownLimits:
        async with acquire(self._pool) as connection:
            row = await queries.find_limits(connection, function_ref, like=like)
        if row is None:
            raise not_found(function_ref)
        known = KnownLimits(row.function_id, decode_limits(row.limits), row.public)
        self._admission.learn(function_ref, known)
        return known

    async def _record_started(self, start: ExecutionStart) -> Started:
        """Record RUNNING. Raises FunctionNotFound, RevisionNotFound, FunctionNotReady, DatabaseUnavailable."""
        try:
            result = await self._recorder.record_started(start)
        except DatabaseNotReached:  # nothing was sent, so there is no row
            raise
        except BaseException:
            # The row may have been committed before the connection broke. No peer would ever reap it, as this process
            # is alive.
            self._retry_buffer.record_later(ExecutionEnd(start.id, Outcome(error="interrupted"), start.started_at))
            raise
        if isinstance(result, NotStarted):
            raise result.reason
        return result

    async def _run_guest(self, start: ExecutionStart, started: Started, given: bytes | HttpRequest) -> Outcome:
        async def load_module() -> bytes:
            async with acquire(self._pool) as connection:
                module = await queries.get_module(connection, started.module_digest)
            if module is None:
                raise _ModuleRemoved
            return module

        limits = self._runtime.limits.narrowed(started.limits.time, started.limits.memory)
        try:
            reach = await self._reach.find(started) if started.reaches else self._reach.nothing
            return await self._runtime.run(
                started.module_digest,
                load_module,
                given,
                limits,
                start.id,
                function_id=started.function_id,
                reach=reach,
            )
        except SecretUnavailable as error:
            return Outcome(error=str(error))
        except _ModuleRemoved:
            return Outcome(error="interrupted: the revision was removed before its module was loaded")
        except Exception as error:
            log.exception("module.load_failed", function_id=str(started.function_id))
            return Outcome(error=f"interrupted: the module could not be loaded ({type(error).__name__})")

    async def get(self, caller: Caller, execution_id: UUID) -> ExecutionRecord:
        """Return the record of an execution. Raises ExecutionNotFound.

        A caller without the scope read may see the executions that its own token made.
        """
        invoked_by = None if caller.has("read") else caller.token_name
        return await self._get(execution_id, like=caller.like, invoked_by=invoked_by)

    async def _get(
        self, execution_id: UUID, *, like: Sequence[str] | None = None, invoked_by: str | None = None
    ) -> ExecutionRecord:
        async with acquire(self._pool) as connection:
            record = await queries.get_execution(connection, execution_id, like=like, invoked_by=invoked_by)
        if record is None:
            raise ExecutionNotFound(str(execution_id))
        return record

    async def list(
        self,
        caller: Caller,
        function_ref: FunctionRef,
        *,
        limit: int,
        cursor: UUID | None = None,
        status: str | None = None,
    ) -> tuple[list[Execution], bool]:
        """Return up to `limit` executions of a function before `cursor`, newest first, and whether more follow.

        A page is shorter when its outputs are large. Raises FunctionNotFound.
        """
        async with acquire(self._pool) as connection:
            function_id = await queries.find_function_id(connection, function_ref, like=caller.like)
            if function_id is None:
                raise FunctionNotFound(str(function_ref))
            return await list_page(connection, function_id, limit=limit, cursor=cursor, status=status)


class _ModuleRemoved(Exception):
    """Raised when the module to run is not stored any more."""

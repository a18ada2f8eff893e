"""Executing functions and looking at what was executed (Flows 3, 4 and 5).

The RUNNING row is committed before the guest runs, the outcome before the answer is given; no transaction is open while
the guest runs.
"""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import structlog
from prometheus_client import Histogram
from uuid_utils.compat import uuid7

from faas import metrics
from faas.database import queries
from faas.database.pool import Pool, acquire
from faas.errors import (
    DatabaseNotReached,
    ExecutionNotFound,
    FunctionNotFound,
    FunctionNotReady,
    PayloadTooLarge,
    Saturated,
)
from faas.executions.model import ENDED, Execution, ExecutionRecord, Status
from faas.executions.recorder import Journal, Start
from faas.executions.retry import Outcomes
from faas.function_ref import FunctionRef
from faas.runtime import Outcome, Runtime
from faas.units import format_size

log = structlog.get_logger()
_sql = queries.load("executions")

_PAGE_BYTES = 8 << 20  # of outputs in one list; a page has one execution at least
_seconds: dict[Status, Histogram] = {status: metrics.EXECUTION_SECONDS.labels(status) for status in ENDED}
RETRY_AFTER = 1  # seconds: most executions are short


class Executions:
    """Runs functions in `runtime` and records them in `journal`, their ends through `outcomes`."""

    def __init__(self, pool: Pool, runtime: Runtime, journal: Journal, outcomes: Outcomes, max_in_flight: int) -> None:
        self._pool = pool
        self._runtime = runtime
        self._journal = journal
        self._outcomes = outcomes
        self._max_in_flight = max_in_flight
        self._in_flight: set[asyncio.Task[Execution]] = set()

    async def execute(self, function_ref: FunctionRef, document: bytes) -> Execution:
        """Run the function that `function_ref` names on `document`, a JSON object, and record it.

        Raises FunctionNotFound, FunctionNotReady, PayloadTooLarge, Saturated; DatabaseUnavailable when it could not be
        recorded. What the function does wrong is a FAILED execution.
        """
        # A client that hangs up does not undo what has begun: the record is always brought to its end.
        return await asyncio.shield(self.begin(function_ref, document))

    def begin(self, function_ref: FunctionRef, document: bytes) -> "asyncio.Task[Execution]":
        """What `execute` does, as a task that is not to be cancelled. Raises PayloadTooLarge and Saturated at once."""
        limit = self._runtime.limits.input
        if len(document) > limit:
            raise PayloadTooLarge("input", limit, f"{len(document)} bytes; the limit is {format_size(limit)}")
        if len(self._in_flight) >= self._max_in_flight:
            metrics.EXECUTIONS_REFUSED.inc()
            raise Saturated(self._max_in_flight, RETRY_AFTER)
        task = asyncio.create_task(self._execute(function_ref, document))
        self._in_flight.add(task)
        metrics.EXECUTIONS_IN_FLIGHT.inc()
        task.add_done_callback(self._ended)
        return task

    async def drain(self, patience: float) -> None:
        """Wait `patience` seconds for what still runs, also for clients that have gone; then end it, on record."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=patience)
        if self._in_flight:
            self._runtime.interrupt()
            await asyncio.wait(self._in_flight)

    def _ended(self, task: asyncio.Task[Execution]) -> None:
        self._in_flight.discard(task)
        metrics.EXECUTIONS_IN_FLIGHT.dec()
        if not task.cancelled():
            task.exception()  # whoever asked has it, unless he has gone

    async def _execute(self, function_ref: FunctionRef, document: bytes) -> Execution:
        execution_id, started_at = uuid7(), datetime.now(UTC)
        try:
            called = await self._journal.start(Start(execution_id, function_ref, document, started_at))
        except asyncpg.ForeignKeyViolationError:  # deleted while we looked at it
            raise FunctionNotFound(str(function_ref)) from None
        except DatabaseNotReached:  # then it has not begun
            raise
        except BaseException:
            # The row may have been committed before the connection broke; then nobody else would ever close it.
            self._outcomes.settle_later(execution_id, Outcome(error="interrupted"), started_at)
            raise
        if called is None:
            raise await self._refusal(function_ref)

        outcome = await self._run(called["function_id"], called["wasm_digest"], document)
        completed_at = max(started_at, datetime.now(UTC))
        recorded = await self._outcomes.settle(execution_id, outcome, completed_at)
        if not recorded:  # deleted with its function, or closed by another process that took this one for dead
            return await self.get(execution_id)
        status: Status = "FAILED" if outcome.error else "COMPLETED"
        execution = Execution(
            id=execution_id,
            function_id=called["function_id"],
            status=status,
            output=outcome.output,
            error_message=outcome.error,
            created_at=started_at,
            started_at=started_at,
            completed_at=completed_at,
        )
        duration = execution.duration_ms or 0.0
        _seconds[status].observe(duration / 1000)
        log.info(
            "execution.finished",
            execution_id=execution_id,
            function_id=execution.function_id,
            revision=called["revision"],
            status=status,
            duration_ms=duration,
        )
        return execution

    async def _run(self, function_id: UUID, digest: bytes, document: bytes) -> Outcome:
        async def load() -> bytes:
            async with acquire(self._pool) as connection:
                row = await _sql.get_module(connection, function_id=function_id, wasm_digest=digest)
            if row is None:
                raise _Revised
            binary: bytes = row["wasm_binary"]
            return binary

        try:
            return await self._runtime.run(digest, load, document)
        except _Revised:
            return Outcome(error="interrupted: the function was changed or deleted as this execution began")
        except Exception as error:
            log.exception("execution.not_run", function_id=str(function_id))
            return Outcome(error=f"interrupted: the module could not be loaded ({type(error).__name__})")

    async def _refusal(self, function_ref: FunctionRef) -> Exception:
        async with acquire(self._pool) as connection:
            row = await _sql.find_function(connection, reference_id=function_ref.id, reference_name=function_ref.name)
        if row is None:
            return FunctionNotFound(str(function_ref))
        return FunctionNotReady(row["name"], row["status"], row["compile_error"])

    async def get(self, execution_id: UUID) -> ExecutionRecord:
        """Raises ExecutionNotFound."""
        async with acquire(self._pool) as connection:
            row = await _sql.get_execution(connection, id=execution_id)
        if row is None:
            raise ExecutionNotFound(str(execution_id))
        return ExecutionRecord(**row)

    async def list(
        self,
        function_ref: FunctionRef,
        *,
        limit: int,
        cursor: UUID | None = None,
        status: str | None = None,
    ) -> tuple[list[Execution], bool]:
        """Up to `limit` executions of the function, newest first, those before `cursor`; and whether more follow.

        Fewer where their outputs are large. Raises FunctionNotFound.
        """
        async with acquire(self._pool) as connection:
            function = await _sql.find_function(
                connection, reference_id=function_ref.id, reference_name=function_ref.name
            )
            if function is None:
                raise FunctionNotFound(str(function_ref))
            rows = [
                dict(row)
                async for row in _sql.list_executions(
                    connection,
                    function_id=function["id"],
                    limit=limit,
                    cursor=cursor,
                    status=status,
                    budget=_PAGE_BYTES,
                )
            ]
        found = rows[0]["found"] if rows else 0
        return [Execution(**{name: row[name] for name in Execution.__struct_fields__}) for row in rows], found > len(
            rows
        )


class _Revised(Exception):
    """The module to run is no longer the function's."""

"""The retry buffer: outcomes that could not be recorded because the database was unavailable.

This process is alive and sends its heartbeat, so no peer will ever reap these executions. Each outcome is therefore
kept and written again until the database accepts it.
"""

import asyncio
from uuid import UUID

import asyncpg
import structlog

from faas.errors import DatabaseUnavailable
from faas.executions.model import ExecutionEnd
from faas.executions.recorder import ExecutionRecorder
from faas.runtime import Outcome

log = structlog.get_logger()

_RETRY_INTERVAL_SECONDS = 0.5
_CONCURRENT_RETRIES = 256


class RetryBuffer:
    """Records the ends of executions through `recorder`, and keeps those that the database did not accept.

    `run` is the background task that retries them.
    """

    def __init__(self, recorder: ExecutionRecorder) -> None:
        self._recorder = recorder
        self._unrecorded: dict[UUID, ExecutionEnd] = {}
        self._not_empty = asyncio.Event()

    @property
    def unrecorded(self) -> frozenset[UUID]:
        """The ids of the executions whose outcomes are waiting to be recorded."""
        return frozenset(self._unrecorded)

    async def record(self, end: ExecutionEnd) -> bool:
        """Record the outcome durably. Returns False when the execution is no longer RUNNING or no longer exists.

        Raises DatabaseUnavailable; the outcome is kept in the buffer then.
        """
        try:
            return await self._write(end)
        except (DatabaseUnavailable, asyncpg.PostgresError):
            self.record_later(end)
            raise

    def record_later(self, end: ExecutionEnd) -> None:
        """Keep the outcome until the database accepts it. It has no effect if the execution was never RUNNING."""
        self._unrecorded[end.id] = end
        self._not_empty.set()

    async def run(self) -> None:
        """Retry what is in the buffer, until cancelled."""
        while True:
            await self._not_empty.wait()
            await asyncio.sleep(_RETRY_INTERVAL_SECONDS)
            await self.flush()
            if not self._unrecorded:
                self._not_empty.clear()

    async def flush(self) -> None:
        """Retry every outcome once. Stops early when the database is unavailable."""
        ends = list(self._unrecorded.values())
        for first in range(0, len(ends), _CONCURRENT_RETRIES):
            if not all(await asyncio.gather(*map(self._retry, ends[first : first + _CONCURRENT_RETRIES]))):
                return

    async def _retry(self, end: ExecutionEnd) -> bool:
        """Write one outcome. Returns False when the database is unavailable."""
        try:
            if await self._write(end):
                log.info("outcome.recorded_late", execution_id=str(end.id))
        except DatabaseUnavailable:
            return False
        except asyncpg.PostgresError:
            log.exception("outcome.refused", execution_id=str(end.id))
        self._unrecorded.pop(end.id, None)
        return True

    async def _write(self, end: ExecutionEnd) -> bool:
        try:
            return await self._recorder.record_finished(end)
        except asyncpg.DataError as error:
            # Postgres refuses a JSON document that our own check accepts. It is the guest's output, so the execution
            # is recorded as FAILED with the reason.
            refused = Outcome(error=f"invalid JSON: the database refuses it: {error}", logs=end.outcome.logs)
            return await self._recorder.record_finished(ExecutionEnd(end.id, refused, end.completed_at))

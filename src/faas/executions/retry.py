"""Recording how executions ended, also when the database is away just then.

The process lives on, so nobody else will close these rows: an outcome that could not be recorded is kept and tried
again until it is.
"""

import asyncio
from datetime import datetime
from uuid import UUID

import asyncpg
import structlog

from faas.errors import DatabaseUnavailable
from faas.executions.recorder import End, Journal
from faas.runtime import Outcome

log = structlog.get_logger()

_RETRY_PAUSE = 0.5
_AT_ONCE = 256


class Outcomes:
    """Writes outcomes to the journal. `run` is the background task that tries the late ones again."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._late: dict[UUID, tuple[Outcome, datetime]] = {}
        self._wake = asyncio.Event()

    async def settle(self, execution_id: UUID, outcome: Outcome, completed_at: datetime) -> bool:
        """Record the outcome durably. False when the execution is no longer RUNNING or no longer there.

        Raises DatabaseUnavailable; the outcome is then recorded later.
        """
        try:
            return await self._write(execution_id, outcome, completed_at)
        except (DatabaseUnavailable, asyncpg.PostgresError):
            self.settle_later(execution_id, outcome, completed_at)
            raise

    def settle_later(self, execution_id: UUID, outcome: Outcome, completed_at: datetime) -> None:
        """Record the outcome as soon as the database takes it; nothing happens when the execution never began."""
        self._late[execution_id] = (outcome, completed_at)
        self._wake.set()

    async def run(self) -> None:
        """Try the late outcomes again until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_RETRY_PAUSE)
            await self.flush()
            if not self._late:
                self._wake.clear()

    async def flush(self) -> None:
        """Try every late outcome once, so many at a time, while the database takes them."""
        late = list(self._late)
        for first in range(0, len(late), _AT_ONCE):
            if not all(await asyncio.gather(*(self._again(id_) for id_ in late[first : first + _AT_ONCE]))):
                return

    async def _again(self, execution_id: UUID) -> bool:
        """Write one; False when the database is away."""
        outcome, completed_at = self._late[execution_id]
        try:
            if await self._write(execution_id, outcome, completed_at):
                log.info("outcome.recorded_late", execution_id=str(execution_id))
        except DatabaseUnavailable:
            return False
        except asyncpg.PostgresError:
            log.exception("outcome.refused", execution_id=str(execution_id))
        del self._late[execution_id]
        return True

    async def _write(self, execution_id: UUID, outcome: Outcome, completed_at: datetime) -> bool:
        try:
            return await self._journal.end(End(execution_id, outcome, completed_at))
        except asyncpg.DataError as error:
            # A JSON document that Postgres does not take although we do: the function's fault, on record.
            refused = Outcome(error=f"invalid JSON: the database refuses it: {error}", logs=outcome.logs)
            return await self._journal.end(End(execution_id, refused, completed_at))

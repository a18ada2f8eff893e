"""Closing the executions of processes that died, never of one that still runs.

Every process counts up its own row in `processes`. A process is dead when an observer has seen its count stand still
for `SILENCE` seconds of watching: no two clocks are compared, and time in which the observer itself was held up (and
so, perhaps, everyone else: a database that restarts, a lock) counts for no more than two looks.
"""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

import asyncpg
import structlog

from faas.database import queries
from faas.database.pool import Pool, acquire
from faas.errors import DatabaseUnavailable

log = structlog.get_logger()
_sql = queries.load("executions")

INTERVAL = 2.0
SILENCE = 15.0


class Recovery:
    """Beats for this process and watches the others. `run` is the background task; `leave` is a clean end."""

    def __init__(self, pool: Pool, process_id: UUID, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._process_id = process_id
        self._clock = clock
        self._silent: dict[UUID, tuple[int, float]] = {}  # process → (its last beat, seconds it has stood still)
        self._looked_at = clock()

    async def run(self) -> None:
        """Beat and look around every INTERVAL seconds until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.look()
            except (DatabaseUnavailable, asyncpg.PostgresError) as error:
                self._silent.clear()  # whoever was silent meanwhile may only have been cut off, as we were
                log.warning("recovery.blind", error=str(error))

    async def beat(self) -> None:
        """Say that this process is alive. Must have happened before it executes anything."""
        async with acquire(self._pool) as connection:
            await _sql.beat(connection, id=self._process_id)

    async def look(self) -> list[UUID]:
        """Beat once and close what dead processes left; the ids of the executions closed."""
        closed: list[UUID] = []
        async with acquire(self._pool) as connection:
            await _sql.beat(connection, id=self._process_id)
            now = self._clock()
            watched, self._looked_at = min(now - self._looked_at, 2 * INTERVAL), now
            silent = {}
            for row in [row async for row in _sql.list_processes(connection)]:
                process_id, beat = row["id"], row["beat"]
                last_beat, seconds = self._silent.get(process_id, (None, 0.0))
                seconds = seconds + watched if beat == last_beat and process_id != self._process_id else 0.0
                silent[process_id] = (beat, seconds)
                if seconds >= SILENCE:
                    rows = _sql.close_interrupted(connection, process_id=process_id, beat=beat)
                    interrupted = [row["id"] async for row in rows]
                    log.warning("recovery.closed", process_id=str(process_id), executions=len(interrupted))
                    closed += interrupted
            self._silent = silent
        return closed

    async def leave(self) -> None:
        """A clean end: nothing of this process runs any more."""
        async with acquire(self._pool) as connection:
            await _sql.leave(connection, id=self._process_id)

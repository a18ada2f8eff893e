"""The background task of retention. Every process of the roles all and api has it; one at a time works."""

import asyncio
from datetime import timedelta

import asyncpg
import structlog

from faas.database.pool import Connection, Pool, acquire
from faas.errors import DatabaseUnavailable
from faas.retention import maintenance, queries
from faas.retention.batches import Pacer
from faas.retention.lock import advisory_lock
from faas.retention.partitions import width_for
from faas.retention.policy import Policy, policy_of
from faas.retention.run import RunResult, run_once
from faas.settings import Settings

log = structlog.get_logger()

_INTERVAL_SECONDS = 60.0
_BUSY_INTERVAL_SECONDS = 1.0  # between two runs when the first did not finish
_STEP_SECONDS = 5.0  # of the batches of each of four steps; then other processes and `faas prune` may take the lock
_PAUSE_FACTOR = 9.0  # batches take a tenth of the time
_CLOCK_JUMP_SHARE = 4  # a jump of more than a fourth of the time that is kept
_LEAST_CLOCK_JUMP = timedelta(days=1)
_PAUSE = timedelta(days=1)


class RetentionTask:
    """Applies the settings of retention to the database of `pool`; `run` is the background task."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings

    async def prepare(self) -> None:
        """Create the partitions for executions that start now, and log it when all executions are kept.

        Called before the first execution. A failure is logged: the default partition takes the rows then.
        """
        try:
            async with acquire(self._pool) as connection:
                state = await queries.get_state(connection)
                if state.keeps_all and self._settings.keep_executions is None:
                    log.warning(
                        "retention.keeps_all",
                        reason="this database held executions before they expired: they are kept until "
                        "FAAS_KEEP_EXECUTIONS is set, for example to 90d, the default of a new database; 0 keeps all",
                    )
                policy = policy_of(self._settings, keeps_all=state.keeps_all)
                async with advisory_lock(connection) as locked:
                    if locked:
                        await maintenance.create_missing(connection, state.now, width_for(policy.executions))
        except (DatabaseUnavailable, asyncpg.PostgresError) as error:
            log.warning("retention.run_failed", error=str(error))

    async def run(self) -> None:
        """Run every minute until cancelled, at once again when a run did not finish."""
        while True:
            complete = True
            try:
                async with acquire(self._pool) as connection, advisory_lock(connection) as locked:
                    if locked:
                        complete = (await self.run_once(connection)).complete
            except (DatabaseUnavailable, asyncpg.PostgresError) as error:
                log.warning("retention.run_failed", error=str(error))
            await asyncio.sleep(_INTERVAL_SECONDS if complete else _BUSY_INTERVAL_SECONDS)

    async def run_once(self, connection: Connection) -> RunResult:
        """Do what is due, for a limited time. The caller holds the advisory lock."""
        state = await queries.get_state(connection)
        policy = policy_of(self._settings, keeps_all=state.keeps_all)
        paused = await _is_paused(connection, state, policy)
        return await run_once(connection, policy, Pacer(_PAUSE_FACTOR, _STEP_SECONDS), paused=paused)


async def _is_paused(connection: Connection, state: queries.StateRow, policy: Policy) -> bool:
    """Record the run, and return whether the clock of the database may be wrong.

    After a jump, or after all processes were stopped for as long, nothing goes for a day: a clock that is years ahead
    would make every record expire.
    """
    kept = [keep for keep in (policy.executions, policy.payloads) if keep is not None]
    until = state.paused_until
    async with connection.transaction():  # a jump is seen once: its pause is recorded with it, or the next run sees it
        await queries.set_mark(connection, name="checked", id=None, at=state.now)
        if not kept:
            return False
        if state.checked_at and state.now - state.checked_at > max(_LEAST_CLOCK_JUMP, min(kept) / _CLOCK_JUMP_SHARE):
            until = state.now + _PAUSE
            await queries.set_mark(connection, name="paused", id=None, at=until)
            log.warning("retention.paused", last_run=state.checked_at.isoformat(), until=until.isoformat())
    # A pause that is longer was recorded by a clock that has been corrected since.
    return until is not None and state.now < until <= state.now + _PAUSE

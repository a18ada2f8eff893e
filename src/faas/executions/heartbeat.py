"""Heartbeats: closes the executions of processes that died, and never one that is still running.

Each process increments its own counter in the table `processes`, its heartbeat. A peer is stale when an observer has
watched its counter without a change for HEARTBEAT_TIMEOUT_SECONDS. No clocks of different machines are compared. The
time between two checks counts for at most two intervals: a longer gap means that the observer was delayed, and what
delayed it (a database restart, a lock) may have delayed every other process too.
"""

import asyncio
import time
from collections.abc import Callable
from uuid import UUID

import asyncpg
import msgspec
import structlog

from faas.database.pool import Connection, Pool, acquire
from faas.errors import DatabaseUnavailable
from faas.executions import queries

log = structlog.get_logger()

# The plan of a statement without parameters is kept. One that was made while a partition was empty would read all of it
# later, instead of the index of RUNNING executions.
HEARTBEAT_SESSION_SETTINGS = {"enable_seqscan": "off"}
HEARTBEAT_INTERVAL_SECONDS = 2.0
HEARTBEAT_TIMEOUT_SECONDS = 15.0


class _Observation(msgspec.Struct, frozen=True):
    """The last heartbeat seen of a process, and for how many seconds of watching it has not changed."""

    heartbeat: int
    unchanged_seconds: float


class HeartbeatMonitor:
    """Sends the heartbeat of the process `process_id`, and reaps the executions of stale peers.

    `run` is the background task; `deregister` ends a graceful shutdown. `clock` returns seconds and never goes back.
    """

    def __init__(self, pool: Pool, process_id: UUID, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._process_id = process_id
        self._clock = clock
        self._observations: dict[UUID, _Observation] = {}
        self._checked_at = clock()

    async def run(self) -> None:
        """Send a heartbeat and check the peers every HEARTBEAT_INTERVAL_SECONDS, until cancelled."""
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL_SECONDS)
            try:
                await self.check_peers()
            except (DatabaseUnavailable, asyncpg.PostgresError) as error:
                # The peers may have been cut off from the database just as this process was: start watching again.
                self._observations.clear()
                log.warning("heartbeat.check_failed", error=str(error))

    async def send_heartbeat(self) -> None:
        """Send one heartbeat. The first must be sent before this process starts an execution."""
        async with acquire(self._pool) as connection:
            await queries.send_heartbeat(connection, self._process_id)

    async def check_peers(self) -> list[UUID]:
        """Send one heartbeat and reap the executions of stale peers. Returns the ids of the executions reaped."""
        reaped: list[UUID] = []
        async with acquire(self._pool) as connection:
            await queries.send_heartbeat(connection, self._process_id)
            now = self._clock()
            watched_seconds = min(now - self._checked_at, 2 * HEARTBEAT_INTERVAL_SECONDS)
            self._checked_at = now
            observations: dict[UUID, _Observation] = {}
            for peer in await queries.list_heartbeats(connection):
                observation = self._observe(peer, watched_seconds)
                observations[peer.process_id] = observation
                if observation.unchanged_seconds >= HEARTBEAT_TIMEOUT_SECONDS:
                    reaped += await self._reap(connection, peer)
            self._observations = observations
        return reaped

    async def reap_dead(self, process_id: UUID) -> None:
        """Reap the executions of a process that has certainly ended, without waiting until it is stale."""
        try:
            async with acquire(self._pool) as connection:
                for peer in await queries.list_heartbeats(connection):
                    if peer.process_id == process_id:
                        await self._reap(connection, peer)
        except (DatabaseUnavailable, asyncpg.PostgresError) as error:
            log.warning("heartbeat.reap_failed", process_id=str(process_id), error=str(error))  # it becomes stale

    async def deregister(self) -> None:
        """Remove this process's heartbeat. Called when none of its executions is running any more."""
        async with acquire(self._pool) as connection:
            await queries.deregister_process(connection, self._process_id)

    def _observe(self, peer: queries.HeartbeatRow, watched_seconds: float) -> _Observation:
        last = self._observations.get(peer.process_id)
        if last is None or last.heartbeat != peer.heartbeat or peer.process_id == self._process_id:
            return _Observation(peer.heartbeat, 0.0)
        return _Observation(peer.heartbeat, last.unchanged_seconds + watched_seconds)

    async def _reap(self, connection: Connection, peer: queries.HeartbeatRow) -> list[UUID]:
        reaped = await queries.reap_executions(connection, peer)
        log.warning("executions.reaped", process_id=str(peer.process_id), executions=len(reaped))
        return reaped

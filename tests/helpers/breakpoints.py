"""Blocks a server between two of its steps, by a trigger in the database, and kills it there.

The trigger waits for an advisory lock that the test holds. A BEFORE trigger blocks the server in the middle of its
transaction, a deferred one at its COMMIT, when all statements are done and none is visible.
"""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from faas.database.pool import Connection, Pool
from tests.helpers.server import Server
from tests.helpers.support import eventually

_LOCK, _RESULTS_LOCK = 7, 8
_WAITING = "application_name = 'faas' AND wait_event_type = 'Lock' AND datname = current_database()"

_HELD = _WAITING + " AND wait_event = 'advisory'"


class Stop(msgspec.Struct, frozen=True):
    """A place where the server is blocked: `event` (INSERT, UPDATE, DELETE) on `table`, for rows that match `when`.

    With `committed`, the blocked transaction commits, and the server is killed before it receives the result.
    Otherwise the transaction is rolled back.
    """

    name: str
    table: str
    event: str
    when: str = "true"
    at_commit: bool = False
    committed: bool = False


class Hold:
    """Controls one stop: call `set`, then `reached`, then `kill`."""

    def __init__(self, connection: Connection, stop: Stop) -> None:
        self._connection = connection
        self._stop = stop

    async def set(self) -> None:
        """Install the trigger and take the lock: from now on the server blocks there."""
        stop, at_commit = self._stop, self._stop.at_commit or self._stop.committed
        await _make_trigger_function(self._connection, "hold", _LOCK)
        kind, moment, deferred = (
            ("CONSTRAINT TRIGGER", "AFTER", "DEFERRABLE INITIALLY DEFERRED") if at_commit else ("TRIGGER", "BEFORE", "")
        )
        await self._connection.execute(
            f"CREATE {kind} hold {moment} {stop.event} ON {stop.table} {deferred} "
            f"FOR EACH ROW WHEN ({stop.when}) EXECUTE FUNCTION hold()"
        )
        await self._connection.execute(f"SELECT pg_advisory_lock({_LOCK})")

    async def reached(self) -> None:
        """Wait until the server blocks there for 0.3 s. Statements with a shorter lock timeout are retried differently."""
        await eventually(lambda: self._count(_HELD + " AND clock_timestamp() - query_start > interval '0.3 s'"))

    async def kill(self, server: Server) -> None:
        """SIGKILL the server between this step and the next, and remove the trigger."""
        if self._stop.committed:
            # A stopped process does not receive the result of the transaction, which is now released.
            server.process.send_signal(signal.SIGSTOP)
            await eventually(lambda: asyncio.sleep(0, _state(server.process.pid)), lambda state: state == "T")
            await self._release()
            await eventually(self._held, lambda held: not held)
        server.process.send_signal(signal.SIGKILL)
        await server.process.wait()
        # A backend that still waits would execute its statement after the release: end it, as the server's death does.
        await self._connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_WAITING}")
        await eventually(self._connected, lambda count: count == 0)
        if not self._stop.committed:
            await self._release()
        await self._connection.execute(f"DROP TRIGGER hold ON {self._stop.table}")

    async def _release(self) -> None:
        await self._connection.execute(f"SELECT pg_advisory_unlock({_LOCK})")

    async def _held(self) -> int:
        return await self._count(_HELD)

    async def _connected(self) -> int:
        return await self._count("application_name LIKE 'faas%' AND datname = current_database()")

    async def _count(self, condition: str) -> int:
        return int(await self._connection.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {condition}"))


@asynccontextmanager
async def results_held(pool: Pool) -> AsyncIterator[None]:
    """Let no result of a compilation be sent before the block ends.

    The start of a compilation and its result are two messages, which the server may apply in any order.
    """
    async with pool.acquire() as connection:
        await _make_trigger_function(connection, "hold_result", _RESULTS_LOCK)
        await connection.execute(
            "CREATE OR REPLACE TRIGGER hold_result BEFORE INSERT ON pgmq.q_compilation_results "
            "FOR EACH ROW WHEN (NEW.message ? 'success') EXECUTE FUNCTION hold_result()"
        )
        await connection.execute(f"SELECT pg_advisory_lock({_RESULTS_LOCK})")
        try:
            yield
        finally:
            await connection.execute(f"SELECT pg_advisory_unlock({_RESULTS_LOCK})")
            held = (
                f"SELECT count(*) FROM pg_locks WHERE objid = {_RESULTS_LOCK} AND locktype = 'advisory' AND NOT granted"
            )
            await eventually(partial(connection.fetchval, held), (0).__eq__)


async def _make_trigger_function(connection: Connection, name: str, lock: int) -> None:
    """Make the function of a trigger that waits until no other session has the advisory lock."""
    await connection.execute(
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({lock}); RETURN NEW; END $$"
    )


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]

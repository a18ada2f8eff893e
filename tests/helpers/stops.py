"""Holding a server between two of its steps, from the database, and killing it there.

A trigger waits for an advisory lock that the test holds; `src` knows nothing of it. `BEFORE` a row changes, the server
waits in the middle of its transaction; at `COMMIT` (a deferred trigger) all of it is done and nothing is there yet.
"""

import asyncio
import signal
from pathlib import Path

import msgspec

from faas.database.pool import Connection
from tests.helpers.server import Server
from tests.helpers.support import eventually

_LOCK = 7
_WAITING = "application_name = 'faas' AND wait_event_type = 'Lock' AND datname = current_database()"

_HELD = _WAITING + " AND wait_event = 'advisory'"


class Stop(msgspec.Struct, frozen=True):
    """Where the server is held: at `event` (INSERT, UPDATE, DELETE) on `table`, of rows for which `when` holds.

    `committed`: the held transaction is let go and committed, and the server killed before it learns of that. Otherwise
    nothing of the transaction remains.
    """

    name: str
    table: str
    event: str
    when: str = "true"
    at_commit: bool = False
    committed: bool = False


class Hold:
    """The test's end of a stop. `set`, then `reached`, then `kill`."""

    def __init__(self, connection: Connection, stop: Stop) -> None:
        self._connection = connection
        self._stop = stop

    async def set(self) -> None:
        """From now on nobody gets past the stop."""
        stop, at_commit = self._stop, self._stop.at_commit or self._stop.committed
        await self._connection.execute(
            "CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({_LOCK}); RETURN NEW; END $$"
        )
        kind, moment, deferred = (
            ("CONSTRAINT TRIGGER", "AFTER", "DEFERRABLE INITIALLY DEFERRED") if at_commit else ("TRIGGER", "BEFORE", "")
        )
        await self._connection.execute(
            f"CREATE {kind} hold {moment} {stop.event} ON {stop.table} {deferred} "
            f"FOR EACH ROW WHEN ({stop.when}) EXECUTE FUNCTION hold()"
        )
        await self._connection.execute(f"SELECT pg_advisory_lock({_LOCK})")

    async def reached(self) -> None:
        """Until the server waits there, and will not give up: a statement with a lock timeout is tried another way."""
        await eventually(lambda: self._count(_HELD + " AND clock_timestamp() - query_start > interval '0.3 s'"))

    async def kill(self, server: Server) -> None:
        """SIGKILL between this step and the next; afterwards nobody is held any more."""
        if self._stop.committed:
            # Frozen, it does not see the end of the transaction that is now let go; thawed it never is.
            server.process.send_signal(signal.SIGSTOP)
            await eventually(lambda: asyncio.sleep(0, _state(server.process.pid)), lambda state: state == "T")
            await self._let_go()
            await eventually(self._held, lambda held: not held)
        server.process.send_signal(signal.SIGKILL)
        await server.process.wait()
        # What waits still would be carried out as soon as it may; it is to have died with the server.
        await self._connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {_WAITING}")
        await eventually(self._connected, lambda count: count == 0)
        if not self._stop.committed:
            await self._let_go()
        await self._connection.execute(f"DROP TRIGGER hold ON {self._stop.table}")

    async def _let_go(self) -> None:
        await self._connection.execute(f"SELECT pg_advisory_unlock({_LOCK})")

    async def _held(self) -> int:
        return await self._count(_HELD)

    async def _connected(self) -> int:
        return await self._count("application_name LIKE 'faas%' AND datname = current_database()")

    async def _count(self, condition: str) -> int:
        return int(await self._connection.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {condition}"))


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]

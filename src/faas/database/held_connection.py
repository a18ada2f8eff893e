"""Connections that one user keeps: taking one from a pool and giving it back costs as much as a small statement."""

from contextlib import suppress
from typing import Any

import asyncpg

from faas.database.pool import ACQUIRE_TIMEOUT, TRANSIENT, Connection, Pool, unavailable
from faas.errors import DatabaseNotReached


class HeldConnection:
    """A connection of `pool` for one statement at a time, prepared once; a new one when it is lost.

    Stands where a connection does in the methods of `statements.load`. `close` gives it back.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connection: Connection | None = None
        self._statements: dict[str, Any] = {}

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """The rows. Raises DatabaseUnavailable when the database is away, and what Postgres says of the statement."""
        try:
            statement = await self._prepared(sql)
        except TRANSIENT as error:
            await self.close()
            raise unavailable(error, DatabaseNotReached) from error
        try:
            rows: list[Any] = await statement.fetch(*arguments)
        except asyncpg.TransactionRollbackError:  # passes too, but by the statement's being made again
            raise
        except TRANSIENT as error:
            await self.close()
            raise unavailable(error) from error
        return rows

    @property
    def lost(self) -> bool:
        """Whether a connection was held that is gone."""
        try:
            return self._connection is not None and self._connection.is_closed()
        except asyncpg.InterfaceError:  # the pool has taken it back, because it is gone
            return True

    async def close(self) -> None:
        """Hold nothing any more."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._statements.clear()
            with suppress(*TRANSIENT):
                await self._pool.release(connection)  # type: ignore[arg-type]

    async def _prepared(self, sql: str) -> Any:
        if self._connection is None or self.lost:
            await self.close()
            self._connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT)
        statement = self._statements.get(sql)
        if statement is None:
            statement = self._statements[sql] = await self._connection.prepare(sql)
        return statement

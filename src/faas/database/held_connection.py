"""A pooled connection that one user holds: acquiring and releasing one costs as much as a small statement."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import asyncpg

from faas.database.pool import ACQUIRE_TIMEOUT_SECONDS, TRANSIENT_ERRORS, Connection, Pool, wrap_transient_error
from faas.errors import DatabaseNotReached

if TYPE_CHECKING:
    from asyncpg.prepared_stmt import PreparedStatement


class HeldConnection:
    """A connection of `pool` that is held between statements, with cached prepared statements.

    A lost connection is replaced at the next statement. It takes the place of a connection in the statements of
    `queries.load`, and runs one statement at a time. `close` releases it.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._connection: Connection | None = None
        self._prepared_statements: dict[str, PreparedStatement[asyncpg.Record]] = {}

    async def fetch(self, sql: str, *arguments: object) -> list[asyncpg.Record]:
        """Run `sql` and return its rows.

        Raises DatabaseNotReached when there is no connection, DatabaseUnavailable when the connection is lost during
        the statement, and the other errors of Postgres as they are.
        """
        try:
            statement = await self._prepare(sql)
        except TRANSIENT_ERRORS as error:
            await self.close()
            raise wrap_transient_error(error, DatabaseNotReached) from error
        try:
            return await statement.fetch(*arguments)
        except asyncpg.TransactionRollbackError:  # also transient, but the caller must retry the statement
            raise
        except TRANSIENT_ERRORS as error:
            await self.close()
            raise wrap_transient_error(error) from error

    @property
    def lost(self) -> bool:
        """True if the held connection was lost."""
        try:
            return self._connection is not None and self._connection.is_closed()
        except asyncpg.InterfaceError:  # the pool has already discarded the lost connection
            return True

    async def close(self) -> None:
        """Release the connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._prepared_statements.clear()
            with suppress(*TRANSIENT_ERRORS):
                await self._pool.release(connection)  # type: ignore[arg-type]

    async def _prepare(self, sql: str) -> PreparedStatement[asyncpg.Record]:
        if self._connection is None or self.lost:
            await self.close()
            self._connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS)
        statement = self._prepared_statements.get(sql)
        if statement is None:
            statement = self._prepared_statements[sql] = await self._connection.prepare(sql)
        return statement

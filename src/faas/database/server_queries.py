"""Typed functions for the statements of sql/queries/database.sql, one for each statement."""

from datetime import datetime

import msgspec

from faas.database.pool import Connection
from faas.database.queries import load

_sql = load("database")


class Backend(msgspec.Struct, frozen=True):
    """The row of `identify_backend`: one server process."""

    pid: int
    started: datetime | None


async def identify_backend(connection: Connection) -> Backend:
    """Return the server process that runs this statement."""
    return Backend(**await _sql.identify_backend(connection))

"""The named statements of sql/queries, one file a room."""

from pathlib import Path
from typing import Any

import aiosql

SQL = Path(__file__).parent.parent / "sql"


def load(room: str) -> Any:
    """The statements of sql/queries/<room>.sql as awaitable methods that take a connection and named parameters."""
    return aiosql.from_path(SQL / "queries" / f"{room}.sql", "asyncpg", mandatory_parameters=True)

"""The named statements of sql/queries, one file for each package.

Only the `queries.py` of a package uses `load`; it wraps each statement in a function with typed parameters and rows.
tests/integration/database/test_query_types.py compares those types with what Postgres reports.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import aiosql
from aiosql.adapters.asyncpg import AsyncPGAdapter


class _Adapter(AsyncPGAdapter):
    """An aiosql adapter for connections only: the original checks at each call, by `dir`, whether it got a pool."""

    async def select(
        self, conn: Any, query_name: str, sql: str, parameters: Any, record_class: Any = None
    ) -> AsyncIterator[Any]:
        assert record_class is None
        for row in await conn.fetch(sql, *self._ordered(query_name, parameters)):
            yield row

    async def select_one(self, conn: Any, query_name: str, sql: str, parameters: Any, record_class: Any = None) -> Any:
        assert record_class is None
        return await conn.fetchrow(sql, *self._ordered(query_name, parameters))

    async def select_value(self, conn: Any, query_name: str, sql: str, parameters: Any) -> Any:
        return await conn.fetchval(sql, *self._ordered(query_name, parameters))

    async def insert_update_delete(self, conn: Any, query_name: str, sql: str, parameters: Any) -> Any:
        return await conn.execute(sql, *self._ordered(query_name, parameters))

    def _ordered(self, query_name: str, parameters: Any) -> Sequence[Any]:
        ordered: Sequence[Any] = self.maybe_order_params(query_name, parameters)  # type: ignore[no-untyped-call]
        return ordered


def sql_folder() -> Path:
    """Return the folder with migrations/ and queries/: inside the package in a wheel, beside src in a checkout."""
    package = Path(__file__).parents[1]
    packaged = package / "sql"
    return packaged if packaged.is_dir() else package.parents[1] / "sql"


def load(package: str) -> Any:
    """Load sql/queries/<package>.sql: an awaitable for each statement, with a connection and named parameters."""
    path = sql_folder() / "queries" / f"{package}.sql"
    return aiosql.from_path(path, cast("Any", _Adapter), mandatory_parameters=True)

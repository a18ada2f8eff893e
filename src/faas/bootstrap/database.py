"""The database of a process: the embedded Postgres or the one of `--database-url`, migrated."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg

from faas.database.migrations import ensure_database, migrate
from faas.database.pool import CONNECT_ERRORS, TRANSIENT_ERRORS, describe_connect_error, one_line
from faas.database.pooler import connect_checked
from faas.database.postgres.server import DATABASE, EmbeddedPostgres
from faas.database.requirements import check_requirements
from faas.database.url import parse
from faas.errors import ConfigurationError
from faas.settings import Settings


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[tuple[str, list[str]]]:
    """Start the embedded Postgres, if it is used, and migrate the database.

    Yields the URL of the database and the names of the applied migrations. Raises ConfigurationError.
    """
    async with AsyncExitStack() as stack:
        if settings.database_url:
            url = settings.database_url
            backup_hint = "faas backup FILE --database-url URL"
        else:
            backup_hint = f"faas backup FILE --data-dir {settings.data_dir}"
            postgres = EmbeddedPostgres(settings.data_dir)
            await postgres.start()
            stack.push_async_callback(postgres.stop)
            url = postgres.url
            await ensure_database(url, DATABASE)
        yield url, await _migrate(url, backup_hint)


async def _migrate(url: str, backup_hint: str) -> list[str]:
    try:
        connection = await connect_checked(url, "faas")
    except CONNECT_ERRORS as error:
        raise ConfigurationError(describe_connect_error(error, parse(url).place)) from None
    try:
        await check_requirements(connection)
        return await migrate(connection, backup_hint=backup_hint)
    except (*TRANSIENT_ERRORS, asyncpg.PostgresError) as error:
        raise ConfigurationError(f"cannot migrate the database: {one_line(error)}") from None
    finally:
        await connection.close()

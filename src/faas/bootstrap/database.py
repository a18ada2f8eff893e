"""The database of a process: the embedded Postgres or the one of `--database-url`, migrated."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg

from faas.database.migrations import ensure_database, find_pending, migrate
from faas.database.pool import CONNECT_ERRORS, TRANSIENT_ERRORS, Connection, describe_connect_error, one_line
from faas.database.pooler import connect_checked
from faas.database.postgres.attaching import attach as attach_to_running
from faas.database.postgres.attaching import attach_or_start, existing_cluster
from faas.database.postgres.server import DATABASE, EmbeddedPostgres
from faas.database.requirements import check_requirements
from faas.database.url import parse
from faas.errors import ConfigurationError
from faas.settings import Settings
from faas.shares import embedded_connections

_STARTUP_TIMEOUT_SECONDS = 20.0  # between the start of another process's Postgres and of its migration


@asynccontextmanager
async def open_database(settings: Settings, *, attach: bool = False) -> AsyncIterator[tuple[str, list[str]]]:
    """Start the embedded Postgres, if it is used, and migrate the database.

    With `attach`, an embedded Postgres that another process runs is used as it is; that process migrates it. Yields the
    URL of the database and the names of the applied migrations. Raises ConfigurationError.
    """
    async with AsyncExitStack() as stack:
        if settings.database_url:
            url = settings.database_url
            backup_hint = "faas backup FILE --database-url URL"
        else:
            backup_hint = f"faas backup FILE --data-dir {settings.data_dir}"
            postgres = EmbeddedPostgres(settings.data_dir, connections=embedded_connections(settings))
            stack.push_async_callback(postgres.stop)
            if not attach:
                await postgres.start()
            elif await attach_or_start(postgres):
                await _check_migrated_by_other(postgres)
                yield postgres.url, []
                return
            url = postgres.url
            await ensure_database(url, DATABASE)
        yield url, await _migrate(url, backup_hint)


@asynccontextmanager
async def open_existing_database(settings: Settings) -> AsyncIterator[str]:
    """Yield the URL of a database that exists and is migrated; an embedded Postgres is attached to, or started.

    Raises ConfigurationError.
    """
    async with AsyncExitStack() as stack:
        if settings.database_url:
            await _check_migrated(settings.database_url)
            yield settings.database_url
            return
        postgres = existing_cluster(settings.data_dir)
        stack.push_async_callback(postgres.stop)
        if await attach_or_start(postgres):
            await _check_migrated_by_other(postgres)
        else:
            await _check_migrated(postgres.url)
        yield postgres.url


@asynccontextmanager
async def open_database_of_supervisor(settings: Settings) -> AsyncIterator[str]:
    """Yield the URL of the database that the supervisor of this worker has opened and migrated.

    Raises ConfigurationError.
    """
    if settings.database_url:
        yield settings.database_url
        return
    postgres = EmbeddedPostgres(settings.data_dir)
    try:
        await attach_to_running(postgres)
        yield postgres.url
    finally:
        await postgres.stop()


async def _migrate(url: str, backup_hint: str) -> list[str]:
    async with _connection(url, "migrate") as connection:
        await check_requirements(connection)
        return await migrate(connection, backup_hint=backup_hint)


async def _find_pending(url: str) -> list[str]:
    async with _connection(url, "examine") as connection:
        return await find_pending(connection)


async def _check_migrated(url: str) -> None:
    if await _find_pending(url):
        raise ConfigurationError("the database is not migrated to this version of faas: run `faas migrate` first")


async def _check_migrated_by_other(postgres: EmbeddedPostgres) -> None:
    """Wait until the process that started `postgres` has migrated the database. Raises ConfigurationError.

    It creates the database, too: creating it here could make that fail.
    """
    deadline = time.monotonic() + _STARTUP_TIMEOUT_SECONDS
    while True:
        try:
            pending = await _find_pending(postgres.url)
        except ConfigurationError as error:
            if not isinstance(error.__cause__, asyncpg.InvalidCatalogNameError):
                raise
            pending = ["the database itself"]
        if not pending:
            return
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"another faas uses {postgres.data_dir} and has not migrated it to this version; missing: "
                f"{', '.join(pending)}. Use the faas of that process, or stop that process first"
            )
        await asyncio.sleep(0.1)


@asynccontextmanager
async def _connection(url: str, purpose: str) -> AsyncIterator[Connection]:
    """Connect for the block, which does what the verb `purpose` says. Raises ConfigurationError."""
    try:
        connection = await connect_checked(url, "faas")
    except CONNECT_ERRORS as error:
        raise ConfigurationError(describe_connect_error(error, parse(url).place)) from error
    try:
        yield connection
    except (*TRANSIENT_ERRORS, asyncpg.PostgresError) as error:
        raise ConfigurationError(f"cannot {purpose} the database: {one_line(error)}") from None
    finally:
        await connection.close()

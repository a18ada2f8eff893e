"""Where backups come from and where they go: the database of the settings, running or not, or a new one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from faas.database.migrations import ensure_database
from faas.database.pool import CONNECT_ERRORS, TRANSIENT_ERRORS, Connection, describe_connect_error, one_line
from faas.database.postgres.new_cluster import NewCluster
from faas.database.postgres.server import DATABASE, EmbeddedPostgres
from faas.errors import BackupFailed, ConfigurationError, DataDirectoryInUse
from faas.settings import Settings

# Rows may take as long as they take, whatever the database's defaults for others are.
_SESSION = {"application_name": "faas backup", "statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
_PATIENCE = 60.0  # seconds for a server that is starting, or starting again after a crash


@asynccontextmanager
async def existing_database(settings: Settings) -> AsyncIterator[Connection]:
    """The database as it is, not migrated. An embedded one that runs goes on; another is started for this.

    Raises ConfigurationError when there is none, BackupFailed when it goes away.
    """
    if settings.database_url:
        async with _connected(settings.database_url) as connection:
            yield connection
        return
    postgres = EmbeddedPostgres(settings.data_dir)
    try:
        exists = (postgres.cluster / "PG_VERSION").exists()
    except PermissionError:
        raise ConfigurationError(
            f"data directory {settings.data_dir}: Permission denied; run this as the user of its server"
        ) from None
    if not exists:
        raise ConfigurationError(
            f"there is nothing to back up in {settings.data_dir}: name its --data-dir, or its --database-url"
        )
    try:
        await _join_or_start(postgres)
        async with _connected(postgres.url) as connection:
            yield connection
    finally:
        await postgres.stop()


@asynccontextmanager
async def new_database(settings: Settings) -> AsyncIterator[Connection]:
    """A database to fill. An embedded one is there once the block ends, and not when it raises.

    Raises ConfigurationError when the data directory is not empty (of a database by URL that is the caller's to see),
    BackupFailed when the database goes away.
    """
    if settings.database_url:
        async with _connected(settings.database_url) as connection:
            yield connection
        return
    postgres = NewCluster(settings.data_dir)
    try:
        await postgres.start()
        await ensure_database(postgres.url, DATABASE)
        async with _connected(postgres.url) as connection:
            yield connection
        await postgres.publish()
    finally:
        await postgres.stop()


async def _join_or_start(postgres: EmbeddedPostgres) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not postgres.attach():
        try:
            await postgres.start()
        except DataDirectoryInUse:  # its server is on its way up, or down
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Connection]:
    """A connection without a time limit on what it does."""
    try:
        connection = await asyncpg.connect(url, timeout=10, server_settings=_SESSION)
    except CONNECT_ERRORS as error:
        raise ConfigurationError(describe_connect_error(error)) from None
    try:
        yield connection
    except (*TRANSIENT_ERRORS, asyncpg.PostgresError) as error:
        raise BackupFailed(f"the database: {one_line(error)}") from None
    finally:
        connection.terminate()

"""The databases of commands: that of the settings, running or not, and for a restore a new one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg

from faas.database.migrations import ensure_database
from faas.database.pool import CONNECT_ERRORS, TRANSIENT_ERRORS, Connection, describe_connect_error, one_line
from faas.database.postgres.attaching import attach_or_start, existing_cluster
from faas.database.postgres.new_cluster import NewCluster
from faas.database.postgres.server import DATABASE
from faas.database.session import connect
from faas.errors import BackupFailed, ConfigurationError
from faas.settings import Settings

# Without the timeouts that the database may have as defaults: a COPY takes as long as its table is large.
_SESSION_SETTINGS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}


@asynccontextmanager
async def existing_database(settings: Settings, application_name: str = "faas backup") -> AsyncIterator[Connection]:
    """Connect to the database of the settings without migrating it.

    A running embedded server is used as it is; otherwise one is started for the block. Raises ConfigurationError when
    there is no database, BackupFailed when the connection is lost.
    """
    async with AsyncExitStack() as stack:
        url = settings.database_url
        if not url:
            postgres = existing_cluster(settings.data_dir)
            stack.push_async_callback(postgres.stop)
            await attach_or_start(postgres)
            url = postgres.url
        yield await stack.enter_async_context(_connect(url, application_name))


@asynccontextmanager
async def new_database(settings: Settings) -> AsyncIterator[Connection]:
    """Connect to an empty database: that of the settings' URL, or a new embedded cluster.

    The cluster becomes the data directory's only when the block ends without an error. Raises ConfigurationError when
    the data directory is not empty (whether the database of a URL is empty, the caller checks), BackupFailed when the
    connection is lost.
    """
    async with AsyncExitStack() as stack:
        url = settings.database_url
        postgres = None
        if not url:
            postgres = NewCluster(settings.data_dir)
            stack.push_async_callback(postgres.stop)
            await postgres.start()
            await ensure_database(postgres.url, DATABASE)
            url = postgres.url
        async with _connect(url, "faas backup") as connection:
            yield connection
        if postgres:
            await postgres.publish()


@asynccontextmanager
async def _connect(url: str, application_name: str) -> AsyncIterator[Connection]:
    """Connect without a time limit for statements."""
    try:
        connection = await connect(url, application_name, _SESSION_SETTINGS)
    except CONNECT_ERRORS as error:
        raise ConfigurationError(describe_connect_error(error)) from None
    try:
        yield connection
    except (*TRANSIENT_ERRORS, asyncpg.PostgresError) as error:
        raise BackupFailed(f"the database: {one_line(error)}") from None
    finally:
        connection.terminate()

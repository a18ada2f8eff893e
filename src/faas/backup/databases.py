"""The databases of commands: that of the settings, running or not, and for a restore a new one."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg

from faas.database.migrations import ensure_database
from faas.database.pool import CONNECT_ERRORS, TRANSIENT_ERRORS, Connection, describe_connect_error, one_line
from faas.database.postgres.new_cluster import NewCluster
from faas.database.postgres.server import DATABASE, EmbeddedPostgres
from faas.database.session import connect
from faas.errors import BackupFailed, ConfigurationError, DataDirectoryInUse
from faas.settings import Settings

# Without the timeouts that the database may have as defaults: a COPY takes as long as its table is large.
_SESSION_SETTINGS = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_ATTACH_TIMEOUT_SECONDS = 60.0  # for a server that is starting, or restarting after a crash


@asynccontextmanager
async def existing_database(settings: Settings, application_name: str = "faas backup") -> AsyncIterator[Connection]:
    """Connect to the database of the settings without migrating it.

    A running embedded server is used as it is; otherwise one is started for the block. Raises ConfigurationError when
    there is no database, BackupFailed when the connection is lost.
    """
    async with AsyncExitStack() as stack:
        url = settings.database_url
        if not url:
            postgres = _existing_cluster(settings)
            stack.push_async_callback(postgres.stop)
            await _attach_or_start(postgres)
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


def _existing_cluster(settings: Settings) -> EmbeddedPostgres:
    postgres = EmbeddedPostgres(settings.data_dir)
    try:
        exists = (postgres.cluster / "PG_VERSION").exists()
    except PermissionError:
        raise ConfigurationError(
            f"data directory {settings.data_dir}: Permission denied; run this as the user of its server"
        ) from None
    if not exists:
        raise ConfigurationError(
            f"there is no database in {settings.data_dir}: name its --data-dir, or its --database-url"
        )
    return postgres


async def _attach_or_start(postgres: EmbeddedPostgres) -> None:
    deadline = time.monotonic() + _ATTACH_TIMEOUT_SECONDS
    while not postgres.attach():
        try:
            await postgres.start()
        except DataDirectoryInUse:  # the server of another process is starting or stopping
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return


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

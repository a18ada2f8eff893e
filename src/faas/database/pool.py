"""The connection pool, and the errors that mean that the database is unavailable rather than that a query is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from faas.errors import ConfigurationError, DatabaseNotReached, DatabaseUnavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = asyncpg.Connection
    Pool = asyncpg.Pool

ACQUIRE_TIMEOUT_SECONDS = 10.0
_COMMAND_TIMEOUT_SECONDS = 30.0
_CLOSE_TIMEOUT_SECONDS = 10.0
MINIMUM_POSTGRES_MAJOR = 14

# Errors that a later attempt may not meet: the connection or the server was lost, is starting or out of resources, or
# another transaction won.
TRANSIENT_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the pool resets a connection whose server went away during a statement
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,  # for example an I/O error of its disk
)

CONNECT_ERRORS = (*TRANSIENT_ERRORS, asyncpg.PostgresError, asyncpg.ClientConfigurationError, ValueError)


def describe_connect_error(error: Exception) -> str:
    """Return why a connection failed. A malformed URL is not quoted, because it may contain a password."""
    if isinstance(error, ValueError | asyncpg.ClientConfigurationError):
        return (
            "cannot connect to the database: its URL is malformed. It is postgresql://user:password@host:port/name, "
            "with special characters percent-encoded"
        )
    return f"cannot connect to the database: {one_line(error)}"


def one_line(error: Exception) -> str:
    """Return the message of `error` in one line; Postgres puts details and hints on lines of their own."""
    return " ".join(str(error).split()) or type(error).__name__


async def _register_codecs(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    # Values of the type json are passed through as bytes: Postgres checks the syntax, and no client re-encodes them.
    await connection.set_type_codec("json", schema="pg_catalog", encoder=_identity, decoder=_identity, format="binary")


async def _skip_reset(_: object) -> None:
    """Replace asyncpg's reset of released connections: no code changes session state, and a reset is a round trip."""


def _identity(value: bytes) -> bytes:
    return value


@asynccontextmanager
async def open_pool(url: str, size: int, server_settings: Mapping[str, str] | None = None) -> AsyncIterator[Pool]:
    """Open a pool of at most `size` connections to `url`, in sessions with `server_settings`.

    Raises ConfigurationError when it cannot connect, or when the server is too old.
    """
    try:
        pool = await asyncpg.create_pool(
            url,
            min_size=min(2, size),
            max_size=size,
            init=_register_codecs,
            reset=_skip_reset,
            timeout=ACQUIRE_TIMEOUT_SECONDS,
            command_timeout=_COMMAND_TIMEOUT_SECONDS,
            # JIT costs milliseconds to start and gains nothing for statements this small. A custom plan costs a
            # fraction of a millisecond; a cached generic plan may suit neither a table that has grown nor other
            # parameters.
            server_settings={
                "application_name": "faas",
                "jit": "off",
                "plan_cache_mode": "force_custom_plan",
                **(server_settings or {}),
            },
        )
    except CONNECT_ERRORS as error:
        raise ConfigurationError(describe_connect_error(error)) from None
    try:
        await _check_version(pool)
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), _CLOSE_TIMEOUT_SECONDS)
        except TimeoutError:
            pool.terminate()


async def _check_version(pool: Pool) -> None:
    version = int(await pool.fetchval("SHOW server_version_num")) // 10000
    if version < MINIMUM_POSTGRES_MAJOR:
        raise ConfigurationError(f"the database is Postgres {version}; faas needs {MINIMUM_POSTGRES_MAJOR} or newer")


@asynccontextmanager
async def acquire(pool: Pool) -> AsyncIterator[Connection]:
    """Acquire a connection from `pool` for the block.

    Raises DatabaseNotReached when there is no connection, DatabaseUnavailable when the block meets a transient error.
    """
    try:
        connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS)
    except TRANSIENT_ERRORS as error:
        raise wrap_transient_error(error, DatabaseNotReached) from error
    try:
        try:
            yield connection
        finally:
            await pool.release(connection)
    except TRANSIENT_ERRORS as error:
        raise wrap_transient_error(error) from error


def wrap_transient_error(
    error: BaseException, kind: type[DatabaseUnavailable] = DatabaseUnavailable
) -> DatabaseUnavailable:
    """Wrap a transient driver error in DatabaseUnavailable."""
    return kind(f"{type(error).__name__}: {error}".rstrip(": "))

"""The connection pool, and the errors that mean that the database is unavailable rather than that a query is wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from faas.database.session import CONNECT_TIMEOUT_SECONDS, set_up_session, startup_parameters
from faas.database.tls import WITHOUT_ROOT_CERTIFICATE
from faas.database.url import parse
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


def describe_connect_error(error: Exception, place: str = "") -> str:
    """Return that a connection to `place`, the addresses of a URL, failed, and why."""
    at = f" at {place}" if place else ""
    return f"cannot connect to the database{at}: {connect_error_cause(error)}"


def connect_error_cause(error: Exception) -> str:
    """Return why a connection failed, in one line."""
    text = one_line(error)
    if isinstance(error, asyncpg.ClientConfigurationError) and "root certificate" in text:
        return f"{text}; {WITHOUT_ROOT_CERTIFICATE}"
    if isinstance(error, socket.gaierror):
        return f"the name of the host cannot be resolved: {error.strerror}"
    if isinstance(error, UnicodeError):
        return f"the name of the host is not valid: {text}"
    if type(error) is TimeoutError and not error.args:
        return "no answer in time"
    return text


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
async def open_pool(url: str, size: int, settings: Mapping[str, str] | None = None) -> AsyncIterator[Pool]:
    """Open a pool of at most `size` connections to `url`, with `settings` of their sessions on top of the usual ones.

    Raises ConfigurationError when it cannot connect, or when the server is too old.
    """
    target = parse(url)

    async def initialize(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        await set_up_session(connection, target, settings)
        await _register_codecs(connection)

    try:
        pool = await asyncpg.create_pool(
            **target.arguments,
            min_size=min(2, size),
            max_size=size,
            init=initialize,
            reset=_skip_reset,
            timeout=target.connect_timeout or CONNECT_TIMEOUT_SECONDS,
            command_timeout=_COMMAND_TIMEOUT_SECONDS,
            server_settings=startup_parameters(target, "faas"),
        )
    except CONNECT_ERRORS as error:
        raise ConfigurationError(describe_connect_error(error, target.place)) from None
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

"""The connection pool: one for the process, and which errors say that the database is away rather than wrong."""

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

ACQUIRE_TIMEOUT = 10.0
OLDEST_MAJOR = 14

# What passes by itself: the connection or the server went away, is starting, is full, or another transaction won.
TRANSIENT = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the pool resets a connection whose server went away in mid-statement
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,  # its disk, say
)

CANNOT_CONNECT = (*TRANSIENT, asyncpg.PostgresError, asyncpg.ClientConfigurationError, ValueError)


def explain(error: Exception) -> str:
    """Why there is no connection. A URL that does not parse is not quoted: it may begin with a password."""
    if isinstance(error, ValueError | asyncpg.ClientConfigurationError):
        return (
            "cannot connect to the database: its URL is malformed. It is postgresql://user:password@host:port/name, "
            "with special characters percent-encoded"
        )
    return f"cannot connect to the database: {reason(error)}"


def reason(error: Exception) -> str:
    """What `error` says, in one line: Postgres adds details and hints on lines of their own."""
    return " ".join(str(error).split()) or type(error).__name__


async def _prepare(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    # JSON documents travel as the bytes they are; Postgres checks the syntax, nobody rewrites them.
    await connection.set_type_codec("json", schema="pg_catalog", encoder=_same, decoder=_same, format="binary")


async def _leave_as_it_is(_: object) -> None:
    """Nobody changes a session's state, so that none need be reset: a round trip less for each use."""


def _same(document: bytes) -> bytes:
    return document


@asynccontextmanager
async def open_pool(url: str, size: int, server_settings: Mapping[str, str] | None = None) -> AsyncIterator[Pool]:
    """A pool of at most `size` connections to `url`, in sessions with `server_settings`.

    Raises ConfigurationError when it cannot connect at all.
    """
    try:
        pool = await asyncpg.create_pool(
            url,
            min_size=min(2, size),
            max_size=size,
            init=_prepare,
            reset=_leave_as_it_is,
            timeout=ACQUIRE_TIMEOUT,
            command_timeout=30,
            # JIT gains nothing on statements this small, and costs milliseconds when it starts. A plan for these very
            # values costs a fraction of one, and never is the plan for a table that has grown or for another filter.
            server_settings={
                "application_name": "faas",
                "jit": "off",
                "plan_cache_mode": "force_custom_plan",
                **(server_settings or {}),
            },
        )
    except CANNOT_CONNECT as error:
        raise ConfigurationError(explain(error)) from None
    try:
        await _check_version(pool)
        yield pool
    finally:
        try:
            await asyncio.wait_for(pool.close(), 10)
        except TimeoutError:
            pool.terminate()


async def _check_version(pool: Pool) -> None:
    version = int(await pool.fetchval("SHOW server_version_num")) // 10000
    if version < OLDEST_MAJOR:
        raise ConfigurationError(f"the database is Postgres {version}; faas needs {OLDEST_MAJOR} or newer")


@asynccontextmanager
async def acquire(pool: Pool) -> AsyncIterator[Connection]:
    """A connection from `pool`; DatabaseUnavailable when the database is away during its use, or NotReached before."""
    try:
        connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT)
    except TRANSIENT as error:
        raise unavailable(error, DatabaseNotReached) from error
    try:
        try:
            yield connection
        finally:
            await pool.release(connection)
    except TRANSIENT as error:
        raise unavailable(error) from error


def unavailable(error: BaseException, kind: type[DatabaseUnavailable] = DatabaseUnavailable) -> DatabaseUnavailable:
    """What one of TRANSIENT is for whoever wanted something of the database."""
    return kind(f"{type(error).__name__}: {error}".rstrip(": "))

"""Connection poolers between faas and Postgres: those that keep a session on one server process, and others.

LISTEN, prepared statements, advisory locks and the settings of a session belong to a server process. PgBouncer in
session mode, Pgpool-II and direct connections keep a client on one; PgBouncer in transaction mode gives it another
for each transaction, and other clients get the session's settings.
"""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from faas.database.pool import Connection
from faas.database.server_queries import Backend, identify_backend
from faas.database.session import open_connection, set_up_session
from faas.database.url import DatabaseUrl, parse
from faas.database.url_parameters import refused

_ROUNDS = 3
_QUERY_TIMEOUT_SECONDS = 5.0
_TRANSACTION_POOLING = (
    "it is behind a connection pooler that changes the server process of a session, as PgBouncer does with "
    "pool_mode = transaction; faas needs LISTEN, prepared statements, advisory locks and session settings, which need "
    "pool_mode = session for this database and user, or the URL of Postgres itself"
)


async def connect_checked(
    url: str, application_name: str, settings: Mapping[str, str] | None = None, *, timeout: float | None = None
) -> asyncpg.Connection[asyncpg.Record]:
    """Connect to `url`, check that its sessions are kept, and set up the session.

    Nothing of a session is set before the check: behind a pooler it could affect other clients. Raises
    ConfigurationError for a URL or a pooler that is not accepted, and what asyncpg raises.
    """
    target = parse(url)
    # Without the cache, statements are unnamed: a name may be taken in a server process that others used before.
    connection = await open_connection(target, application_name, timeout=timeout, statement_cache_size=0)
    try:
        await _check_sessions(connection, target, application_name, timeout)
        await set_up_session(connection, target, settings)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _check_sessions(
    connection: Connection, target: DatabaseUrl, application_name: str, timeout: float | None
) -> None:
    """Raise ConfigurationError when the server process of `connection` changes or is shared.

    Postgres itself sends the id of its process while connecting; a pooler sends one of its own. Only then are two
    connections compared: PgBouncer gives a server process that one released to the next, most recent first.
    """
    try:
        begun = await _begin(connection)
        await connection.execute("COMMIT")
    except asyncpg.PostgresError as error:
        if "statement pooling" in str(error):  # PgBouncer with pool_mode = statement refuses BEGIN
            raise refused(_TRANSACTION_POOLING) from None
        raise
    if begun.pid == connection.get_server_pid():
        return
    # A proxy that pins sessions, as that of RDS, does so from the first SET. No server process reads this setting.
    await connection.execute("SET faas.session_check = 'on'")
    second = await open_connection(target, application_name, timeout=timeout, statement_cache_size=0)
    try:
        for _ in range(_ROUNDS):
            first = await _begin(connection)
            await connection.execute("COMMIT")
            other = await _begin(second)
            shared = other == first
            if not shared:
                shared = await _begin(connection) != first
                await connection.execute("COMMIT")
            await second.execute("COMMIT")
            if shared:
                raise refused(_TRANSACTION_POOLING)
    finally:
        second.terminate()


async def _begin(connection: Connection) -> Backend:
    """Begin a transaction, and return the server process that it has. Timeouts of the role do not end it."""
    sql = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0"
    if connection.get_server_version().major >= 17:
        sql += "; SET LOCAL transaction_timeout = 0"
    await connection.execute(sql, timeout=_QUERY_TIMEOUT_SECONDS)
    return await identify_backend(connection)

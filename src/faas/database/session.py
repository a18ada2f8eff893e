"""Connections whose sessions do not depend on the defaults of the role, of the database or of the server.

The settings of a session are made by one statement after connecting, not as parameters of the startup packet: a
connection pooler such as PgBouncer refuses those that it does not track.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import asyncpg

from faas.database.url import DatabaseUrl, parse

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

CONNECT_TIMEOUT_SECONDS = 10.0
_TRANSACTION_TIMEOUT_SINCE = 17  # Postgres' major version
_ATTEMPTS = 3

# Defaults that a URL may override with `options`. JIT costs milliseconds to start and gains nothing for statements this
# small. A custom plan costs a fraction of a millisecond; a cached generic plan may suit neither a table that has grown
# nor other parameters. faas has timeouts of its own: those of a role would end migrations and idle connections.
_DEFAULTS = {
    "jit": "off",
    "plan_cache_mode": "force_custom_plan",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
# What the statements, pgmq's functions and the retries of faas are written for. Nothing overrides it.
_REQUIRED = {
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "bytea_output": "hex",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "1",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
}
# Without it, what was acknowledged could be lost. Stronger levels than `on`, and `local`, are the operator's choice.
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"


async def connect(
    url: str,
    application_name: str,
    settings: Mapping[str, str] | None = None,
    *,
    database: str | None = None,
    timeout: float | None = None,
) -> asyncpg.Connection[asyncpg.Record]:
    """Connect to `url` and set up the session, with `settings` on top of the usual ones.

    `database` and `timeout`, in seconds, override those of the URL. Raises ConfigurationError for a URL that is not
    accepted, and what asyncpg raises.
    """
    target = parse(url)
    connection = await open_connection(target, application_name, database=database, timeout=timeout)
    try:
        await set_up_session(connection, target, settings)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def open_connection(
    target: DatabaseUrl,
    application_name: str,
    *,
    database: str | None = None,
    timeout: float | None = None,
    statement_cache_size: int = 100,
) -> asyncpg.Connection[asyncpg.Record]:
    """Connect to `target` without setting up the session. Raises what asyncpg raises."""
    arguments = target.arguments.copy()
    if database:
        arguments["database"] = database
    return await asyncpg.connect(
        **arguments,
        timeout=timeout or target.connect_timeout or CONNECT_TIMEOUT_SECONDS,
        statement_cache_size=statement_cache_size,
        server_settings=startup_parameters(target, application_name),
    )


def startup_parameters(target: DatabaseUrl, application_name: str) -> dict[str, str]:
    """Return the parameters of the startup packet beside those that every client sends."""
    return {"application_name": target.application_name or application_name}


async def set_up_session(
    connection: asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record],
    target: DatabaseUrl,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Make the settings of the session, in one round trip. Raises what asyncpg raises for a setting of the URL."""
    defaults = dict(_DEFAULTS)
    if connection.get_server_version().major >= _TRANSACTION_TIMEOUT_SINCE:
        defaults["transaction_timeout"] = "0"
    layers = (defaults, target.settings, settings or {}, _REQUIRED)  # a later one overrides
    # The first statement ends a timeout of the role that is too short for the others.
    sql = "; ".join(["SET statement_timeout = 0", _DURABLE, *(_statement(layer) for layer in layers if layer)])
    for attempt in range(_ATTEMPTS):
        try:
            await connection.execute(sql)
        except asyncpg.QueryCanceledError:  # a statement_timeout of 1 ms may end even the first statement
            if attempt == _ATTEMPTS - 1:
                raise
        else:
            return


def _statement(settings: Mapping[str, str]) -> str:
    # Not SET, which takes the value of a list, as search_path is, for one name.
    calls = (f"set_config({_literal(name)}, {_literal(value)}, false)" for name, value in settings.items())
    return f"SELECT {', '.join(calls)}"


def _literal(text: str) -> str:
    """Quote `text` for SQL, whatever standard_conforming_strings is."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"E'{escaped}'"

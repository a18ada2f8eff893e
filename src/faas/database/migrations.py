"""The schema, by numbered files applied in order under one advisory lock. pgmq comes first."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import structlog

from faas.database.pool import TRANSIENT, Connection, reason
from faas.database.queries import sql_folder
from faas.errors import ConfigurationError

log = structlog.get_logger()

_LOCK = 0x66616173  # "faas": several processes may start at once; one migrates, the others wait and find it done
_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


def files() -> list[Path]:
    """The migrations in order. Their numbers start at 1 and have no gaps."""
    return sorted((sql_folder() / "migrations").glob("[0-9][0-9][0-9][0-9]_*.sql"))


async def ensure_database(url: str, name: str) -> None:
    """Make the database `name` on the embedded server at `url`, unless it is there. Raises ConfigurationError."""
    try:
        connection = await asyncpg.connect(url, database="postgres", timeout=10)
        try:
            if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
                await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
    except (*TRANSIENT, asyncpg.PostgresError) as error:
        raise ConfigurationError(f"cannot create the database: {reason(error)}") from None


def refuse_newer(applied: list[str]) -> None:
    """Raise ConfigurationError when `applied`, the names of a schema's migrations, are more than this program has."""
    known = files()
    if len(applied) > len(known):
        raise ConfigurationError(
            f"the database's schema is at {applied[-1]}, newer than this faas knows ({known[-1].stem}): "
            "use the faas that migrated it, or a newer one"
        )


async def lock(connection: Connection) -> None:
    """Keep others from migrating until the connection's transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)


async def migrate(connection: Connection, *, through: int | None = None, way_back: str = "") -> list[str]:
    """Bring the schema up to date; the names of the migrations that this call applied.

    `through` stops after that many. Where a schema exists already, `way_back` is logged before it is changed: the
    command that would have kept a copy. Raises ConfigurationError when the database is ahead of this program, or an
    applied migration has another content.
    """
    applied = []
    async with connection.transaction():
        await lock(connection)
        await connection.execute(_TABLE)
        await _install_pgmq(connection)
        rows = await connection.fetch("SELECT version, name, sha256 FROM schema_migrations ORDER BY version")
        refuse_newer([row["name"] for row in rows])
        known = files()[:through]
        if way_back and 0 < len(rows) < len(known):
            log.warning(
                "schema.upgrading",
                from_migration=rows[-1]["name"],
                to_migration=known[-1].stem,
                way_back=f"none but a backup made before this start: {way_back}",
            )
        for version, file in enumerate(known, start=1):
            text = file.read_text()
            digest = hashlib.sha256(text.encode()).hexdigest()
            if version <= len(rows):
                if rows[version - 1]["sha256"] != digest:
                    raise ConfigurationError(f"migration {file.stem} was changed after this database applied it")
                continue
            await connection.execute(text)
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, sha256) VALUES ($1, $2, $3)", version, file.stem, digest
            )
            log.info("migration.applied", migration=file.stem)
            applied.append(file.stem)
    return applied


async def _install_pgmq(connection: Connection) -> None:
    """As an extension where the server offers it and we may, else as the SQL that the PyPI package ships."""
    if await connection.fetchval("SELECT to_regclass('pgmq.meta') IS NOT NULL"):
        return
    if await connection.fetchval("SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pgmq')"):
        try:
            async with connection.transaction():
                await connection.execute("CREATE EXTENSION pgmq")
        except asyncpg.InsufficientPrivilegeError:
            log.info("pgmq.extension_refused", reason="the database role may not create extensions")
        else:
            return
    spec = find_spec("pgmq")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("the package pgmq, whose SQL makes the queues, is not installed")
    await connection.execute((Path(spec.submodule_search_locations[0]) / "sql" / "pgmq.sql").read_text())

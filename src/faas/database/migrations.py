"""The schema migrations: numbered files, applied in order under one advisory lock, after pgmq is installed."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import structlog

from faas.database.pool import TRANSIENT_ERRORS, Connection, one_line
from faas.database.queries import sql_folder
from faas.database.session import connect
from faas.errors import ConfigurationError

log = structlog.get_logger()

# "faas" in ASCII. Of several processes that start at once, one migrates; the others wait and find nothing to apply.
_ADVISORY_LOCK_KEY = 0x66616173
_CREATE_MIGRATIONS_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer PRIMARY KEY,
    name       text NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


def files() -> list[Path]:
    """Return the migration files in order. Their numbers start at 1 and have no gaps."""
    return sorted((sql_folder() / "migrations").glob("[0-9][0-9][0-9][0-9]_*.sql"))


async def ensure_database(url: str, name: str) -> None:
    """Create the database `name` on the embedded server at `url` unless it exists. Raises ConfigurationError."""
    try:
        connection = await connect(url, "faas", database="postgres")
        try:
            if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
                await connection.execute(f"CREATE DATABASE {name}")
        finally:
            await connection.close()
    except (*TRANSIENT_ERRORS, asyncpg.PostgresError) as error:
        raise ConfigurationError(f"cannot create the database: {one_line(error)}") from None


def check_not_newer(applied: list[str]) -> None:
    """Raise ConfigurationError when `applied`, the names of applied migrations, are more than this program has."""
    known = files()
    if len(applied) > len(known):
        raise ConfigurationError(
            f"the database's schema is at {applied[-1]}, newer than this faas knows ({known[-1].stem}): "
            "use the faas that migrated it, or a newer one"
        )


async def lock(connection: Connection) -> None:
    """Prevent other processes from migrating until the connection's transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _ADVISORY_LOCK_KEY)


async def migrate(connection: Connection, *, through: int | None = None, backup_hint: str = "") -> list[str]:
    """Apply the migrations that are missing and return their names.

    `through` limits the version to migrate to. `backup_hint`, the command that makes a backup, is logged before an
    existing schema is changed. Raises ConfigurationError when the database is newer than this program, or when the
    content of an applied migration has changed.
    """
    applied = []
    async with connection.transaction():
        await lock(connection)
        await connection.execute(_CREATE_MIGRATIONS_TABLE)
        await _install_pgmq(connection)
        before = await _read_applied(connection)
        known = files()[:through]
        if backup_hint and 0 < len(before) < len(known):
            log.warning(
                "schema.upgrading",
                from_migration=before[-1],
                to_migration=known[-1].stem,
                backup_hint=f"only a backup made before this start can undo the upgrade: {backup_hint}",
            )
        for version, file in enumerate(known[len(before) :], start=len(before) + 1):
            text = file.read_text()
            await connection.execute(text)
            await connection.execute(
                "INSERT INTO schema_migrations (version, name, sha256) VALUES ($1, $2, $3)",
                version,
                file.stem,
                _digest(text),
            )
            log.info("migration.applied", migration=file.stem)
            applied.append(file.stem)
    return applied


async def find_pending(connection: Connection) -> list[str]:
    """Return the names of the migrations that the database lacks; while a process migrates it, wait for that.

    Raises ConfigurationError when the database is newer than this program, or when the content of an applied migration
    has changed.
    """
    async with connection.transaction():
        await lock(connection)
        exists = await connection.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
        before = await _read_applied(connection) if exists else []
    return [file.stem for file in files()[len(before) :]]


async def _read_applied(connection: Connection) -> list[str]:
    """Return the names of the applied migrations. Raises ConfigurationError when they are not those of this program."""
    rows = await connection.fetch("SELECT version, name, sha256 FROM schema_migrations ORDER BY version")
    names: list[str] = [row["name"] for row in rows]
    check_not_newer(names)
    for row, file in zip(rows, files(), strict=False):
        if row["sha256"] != _digest(file.read_text()):
            raise ConfigurationError(f"migration {file.stem} was changed after this database applied it")
    return names


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _install_pgmq(connection: Connection) -> None:
    """Install pgmq: as an extension where the server offers it and the role may, else from the SQL of its package."""
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
        raise ConfigurationError("the queues need the SQL of the package pgmq, which is not installed")
    await connection.execute((Path(spec.submodule_search_locations[0]) / "sql" / "pgmq.sql").read_text())

"""From a database to an archive: every table of faas as it was at one moment, while the server goes on."""

from collections import defaultdict
from typing import BinaryIO

import asyncpg

from faas import __version__
from faas.backup.archive import ArchiveWriter
from faas.backup.manifest import FORMAT, TABLES, Column, Manifest, Migration, Table
from faas.database import migrations, queries
from faas.database.pool import Connection
from faas.errors import ConfigurationError

_sql = queries.load("backup")
QUEUES = ("compilation_jobs", "compilation_results")


async def back_up(connection: Connection, stream: BinaryIO) -> Manifest:
    """Write a backup of the connection's database to `stream`. Reads one snapshot; blocks nobody but migrations.

    Memory stays within a few times the largest row. Raises ConfigurationError when it is no database of faas, or a
    newer one.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        applied = await _applied(connection)
        about = await _sql.describe(connection)
        columns = await columns_of(connection)
        tables = []
        with ArchiveWriter(stream) as archive:
            for name, found in columns.items():
                tables.append(await _copy(connection, archive, name, found))
            # After the rows: a position is never behind a message that the snapshot holds.
            positions = [row async for row in _sql.list_positions(connection, queues=list(QUEUES))]
            manifest = Manifest(
                format=FORMAT,
                faas=__version__,
                postgres=about["postgres"],
                pgmq=f"extension {about['pgmq']}" if about["pgmq"] else "from its SQL",
                taken_at=about["taken_at"],
                migrations=applied,
                queues={row["queue"]: row["position"] for row in positions},
                tables=tables,
            )
            archive.finish(manifest)
    return manifest


async def columns_of(connection: Connection) -> dict[str, list[Column]]:
    """The columns of each table of TABLES that is there, without those that Postgres computes."""
    columns: dict[str, list[Column]] = defaultdict(list)
    async for row in _sql.list_columns(connection, tables=list(TABLES)):
        columns[row["table_name"]].append(Column(name=row["name"], type=row["type"]))
    return dict(columns)


def split(name: str) -> tuple[str | None, str]:
    """Schema and table; without a schema the search path decides, as everywhere else."""
    schema, _, table = name.rpartition(".")
    return schema or None, table


async def _applied(connection: Connection) -> list[Migration]:
    try:
        applied = [Migration(name=row["name"], sha256=row["sha256"]) async for row in _sql.list_migrations(connection)]
    except asyncpg.UndefinedTableError:
        raise ConfigurationError("there is nothing to back up: this database was never used by faas") from None
    migrations.check_not_newer([migration.name for migration in applied])
    return applied


async def _copy(connection: Connection, archive: ArchiveWriter, name: str, columns: list[Column]) -> Table:
    with archive.entry(f"{name}.copy") as entry:
        schema, table = split(name)
        names = [column.name for column in columns]
        done = await connection.copy_from_table(
            table, schema_name=schema, columns=names, output=entry.write, format="binary"
        )
        await entry.flush()
    return Table(name=name, columns=columns, rows=rows_of(done), bytes=entry.bytes, sha256=entry.sha256)


def rows_of(status: str) -> int:
    """The number in `COPY 17`."""
    return int(status.rsplit(" ", 1)[1])

"""From a database to an archive: every table of faas in one snapshot, while the server runs."""

from collections import defaultdict
from typing import BinaryIO

import asyncpg

from faas import __version__
from faas.backup import queries
from faas.backup.archive import ArchiveWriter
from faas.backup.manifest import FORMAT, PARTITIONED_TABLES, TABLES, Column, Manifest, Migration, Table
from faas.database import migrations
from faas.database.pool import Connection
from faas.errors import ConfigurationError
from faas.queue import messages
from faas.secret_store.queries import list_keys

_QUEUES = (messages.COMPILATION_JOBS, messages.COMPILATION_RESULTS)


async def back_up(connection: Connection, stream: BinaryIO) -> Manifest:
    """Write a backup of the connection's database to `stream`. Reads one snapshot; blocks only migrations.

    Uses memory for a few times the largest row. Raises ConfigurationError when the database is not one of faas, or is
    newer than this program; BackupFailed when `stream` cannot be written.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        applied = await _applied_migrations(connection)
        info = await queries.get_backup_info(connection)
        tables = []
        columns_of = await columns_by_table(connection)
        with ArchiveWriter(stream) as archive:
            for name, columns in columns_of.items():
                tables.append(await _copy(connection, archive, name, columns))
            # After the rows, so that a position is never less than the id of a message in the snapshot.
            positions = await queries.list_positions(connection, queues=_QUEUES)
            manifest = Manifest(
                format=FORMAT,
                faas=__version__,
                postgres=info.postgres,
                pgmq=f"extension {info.pgmq}" if info.pgmq else "from its SQL",
                taken_at=info.taken_at,
                migrations=applied,
                queues={row.queue: row.position for row in positions},
                tables=tables,
                secret_keys=[row.key_id for row in await list_keys(connection)] if "secrets" in columns_of else [],
            )
            archive.finish(manifest)
    return manifest


async def columns_by_table(connection: Connection) -> dict[str, list[Column]]:
    """Return the columns of each of TABLES that exists, without generated columns."""
    columns: dict[str, list[Column]] = defaultdict(list)
    for row in await queries.list_columns(connection, tables=TABLES):
        columns[row.table_name].append(Column(name=row.name, type=row.type))
    return dict(columns)


def split_table_name(name: str) -> tuple[str | None, str]:
    """Return schema and table; without a schema the search path applies, as in all statements."""
    schema, _, table = name.rpartition(".")
    return schema or None, table


def parse_row_count(command_tag: str) -> int:
    """Return the number in a command tag such as `COPY 17`."""
    return int(command_tag.rsplit(" ", 1)[1])


async def _applied_migrations(connection: Connection) -> list[Migration]:
    try:
        rows = await queries.list_migrations(connection)
    except asyncpg.UndefinedTableError:
        raise ConfigurationError("there is nothing to back up: this database was never used by faas") from None
    migrations.check_not_newer([row.name for row in rows])
    return [Migration(name=row.name, sha256=row.sha256) for row in rows]


async def _copy(connection: Connection, archive: ArchiveWriter, name: str, columns: list[Column]) -> Table:
    with archive.entry(f"{name}.copy") as entry:
        schema, table = split_table_name(name)
        if name in PARTITIONED_TABLES:  # COPY refuses them by name; none has generated columns
            command_tag = await connection.copy_from_query(f"TABLE {table}", output=entry.write, format="binary")
        else:
            names = [column.name for column in columns]
            command_tag = await connection.copy_from_table(
                table, schema_name=schema, columns=names, output=entry.write, format="binary"
            )
        await entry.flush()
    return Table(name=name, columns=columns, rows=parse_row_count(command_tag), bytes=entry.bytes, sha256=entry.sha256)

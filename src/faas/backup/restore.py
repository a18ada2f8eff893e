"""From an archive to an empty database, in one transaction: everything is restored, or nothing."""

import msgspec

from faas.backup import queries
from faas.backup.archive import ArchiveReader
from faas.backup.backup import columns_by_table, parse_row_count, split_table_name
from faas.backup.manifest import Column, Table
from faas.database import migrations
from faas.database.pool import Connection
from faas.errors import BackupFailed, ConfigurationError


class RestoreResult(msgspec.Struct, frozen=True):
    """The number of executions that the backup has as RUNNING, and the migrations applied to the backup's schema."""

    interrupted: int
    migrated: list[str]


async def restore(connection: Connection, archive: ArchiveReader) -> RestoreResult:
    """Restore `archive` into the connection's empty database, then apply the migrations that are newer than it.

    RUNNING executions are closed as interrupted, and in-flight messages become visible. Raises ConfigurationError when
    the database is not empty or cannot hold the backup, BackupFailed when rows are missing.
    """
    manifest = archive.manifest
    migrations.check_not_newer([migration.name for migration in manifest.migrations])
    async with connection.transaction():
        await migrations.lock(connection)
        if (found := await queries.find_relation(connection)) is not None:
            raise ConfigurationError(f"the database is not empty, it has {found}: restore into an empty one")
        # Only to the backup's version: its rows fit that schema, and the later migrations change them as they would
        # have changed the original.
        await migrations.migrate(connection, through=len(manifest.migrations))
        applied = [row.sha256 for row in await queries.list_migrations(connection)]
        if applied != [migration.sha256 for migration in manifest.migrations]:
            raise ConfigurationError(
                f"the backup's migrations are not those of this faas: restore it with faas {manifest.faas}"
            )
        columns = await columns_by_table(connection)
        for table in manifest.tables:
            await _copy(connection, archive, table, columns.get(table.name, []))
        await queries.check_constraints(connection)
        for queue, position in manifest.queues.items():
            await queries.set_position(connection, queue=queue, position=position)
        interrupted = await queries.close_running(connection, taken_at=manifest.taken_at)
        if manifest.queues:
            await queries.release_jobs(connection)
            await queries.release_results(connection)
        migrated = await migrations.migrate(connection)
    return RestoreResult(interrupted=interrupted, migrated=migrated)


async def _copy(connection: Connection, archive: ArchiveReader, table: Table, columns: list[Column]) -> None:
    types = {column.name: column.type for column in columns}
    for column in table.columns:
        if types.get(column.name) != column.type:
            raise ConfigurationError(
                f"the database cannot hold the backup: it has no column {table.name}.{column.name} of type "
                f"{column.type} (its pgmq is of another version)"
            )
    schema, name = split_table_name(table.name)
    names = [column.name for column in table.columns]
    with archive.open(table) as rows:
        command_tag = await connection.copy_to_table(
            name, schema_name=schema, columns=names, source=rows, format="binary"
        )
    if (copied := parse_row_count(command_tag)) != table.rows:
        raise BackupFailed(f"{table.name} took {copied} rows of {table.rows}; nothing was restored")

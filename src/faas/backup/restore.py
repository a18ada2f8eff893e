"""From an archive to a database: an empty one, in one transaction, so that it holds everything or nothing."""

import msgspec

from faas.backup.archive import Archive
from faas.backup.backup import columns_of, rows_of, split
from faas.backup.manifest import Column, Table
from faas.database import migrations, queries
from faas.database.pool import Connection
from faas.errors import BackupFailed, ConfigurationError

_sql = queries.load("backup")


class Restored(msgspec.Struct, frozen=True):
    """What came of it: how many executions had no end in the backup, and which migrations were applied since."""

    interrupted: int
    migrated: list[str]


async def restore(connection: Connection, archive: Archive) -> Restored:
    """Make the connection's empty database what `archive` holds, then bring its schema up to date.

    Nothing stays RUNNING, and messages that were in somebody's hands are free. Raises ConfigurationError when the
    database is not empty, or cannot hold this backup.
    """
    manifest = archive.manifest
    migrations.check_not_newer([migration.name for migration in manifest.migrations])
    async with connection.transaction():
        await migrations.lock(connection)
        if (found := await _sql.find_relation(connection)) is not None:
            raise ConfigurationError(f"the database is not empty, it has {found}: restore into an empty one")
        # As far as the backup's own schema: its rows fit there, and the later migrations change them as they would
        # have changed the original.
        await migrations.migrate(connection, through=len(manifest.migrations))
        applied = [row["sha256"] async for row in _sql.list_migrations(connection)]
        if applied != [migration.sha256 for migration in manifest.migrations]:
            raise ConfigurationError(
                f"the backup's migrations are not those of this faas: restore it with faas {manifest.faas}"
            )
        columns = await columns_of(connection)
        for table in manifest.tables:
            await _load(connection, archive, table, columns.get(table.name, []))
        for queue, position in manifest.queues.items():
            await _sql.set_position(connection, queue=queue, position=position)
        interrupted = await _sql.close_running(connection, taken_at=manifest.taken_at)
        if manifest.queues:
            await _sql.free_jobs(connection)
            await _sql.free_results(connection)
        migrated = await migrations.migrate(connection)
    return Restored(interrupted=interrupted, migrated=migrated)


async def _load(connection: Connection, archive: Archive, table: Table, columns: list[Column]) -> None:
    here = {column.name: column.type for column in columns}
    for column in table.columns:
        if here.get(column.name) != column.type:
            raise ConfigurationError(
                f"the database cannot hold the backup: it has no column {table.name}.{column.name} of type "
                f"{column.type} (its pgmq is of another version)"
            )
    schema, name = split(table.name)
    names = [column.name for column in table.columns]
    with archive.open(table) as rows:
        done = await connection.copy_to_table(name, schema_name=schema, columns=names, source=rows, format="binary")
    if rows_of(done) != table.rows:
        raise BackupFailed(f"{table.name} took {rows_of(done)} rows of {table.rows}; nothing was restored")

"""The background task that removes modules without a revision.

A module is removed only after a grace period: an execution that has started may still load the module of a revision
that was removed since. Processes that share a database may run the task at the same time.
"""

import asyncio

import asyncpg
import structlog

from faas.database.pool import Pool, acquire
from faas.errors import DatabaseUnavailable
from faas.functions import queries

log = structlog.get_logger()

INTERVAL_SECONDS = 600.0
GRACE_SECONDS = 3600.0
_BATCH_MODULES = 20  # of up to 8 MiB each; the file pages of a batch are freed in one transaction


class ModuleCleanup:
    """Removes the modules that have had no revision for `grace_seconds`."""

    def __init__(self, pool: Pool, grace_seconds: float = GRACE_SECONDS) -> None:
        self._pool = pool
        self._grace_seconds = grace_seconds

    async def run(self) -> None:
        """Remove modules every INTERVAL_SECONDS, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            try:
                await self.remove()
            except (DatabaseUnavailable, asyncpg.PostgresError) as error:
                # Also when a revision took one of the modules at the same time: the next run finds the others.
                log.warning("modules.cleanup_failed", error=str(error))

    async def remove(self) -> int:
        """Remove what can be removed now; return the number of modules."""
        async with acquire(self._pool) as connection:
            await queries.unmark_referenced_modules(connection)
            await queries.mark_unreferenced_modules(connection)
            removed = 0
            while count := await queries.delete_unreferenced_modules(
                connection, grace_seconds=self._grace_seconds, limit=_BATCH_MODULES
            ):
                removed += count
        if removed:
            log.info("modules.removed", modules=removed)
        return removed

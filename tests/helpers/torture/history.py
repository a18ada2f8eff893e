"""Every deploy and every change of a live revision, recorded by triggers in the transaction that makes it."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec

from faas.database.pool import Pool
from tests.helpers.support import eventually

_RECORD_HISTORY = """
CREATE TABLE deployed (
    function_id uuid, number int, marker text, broken boolean, PRIMARY KEY (function_id, number)
);
CREATE FUNCTION record_deploy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deployed VALUES (
        NEW.function_id, NEW.number, substring(NEW.source FROM 'marker:([a-z0-9-]+)'), NEW.source ~ ' broken'
    );
    RETURN NULL;
END $$;
CREATE TRIGGER record_deploy AFTER INSERT ON revisions FOR EACH ROW EXECUTE FUNCTION record_deploy();

CREATE TABLE live_changes (
    position bigserial, at timestamptz DEFAULT clock_timestamp(),
    function_id uuid, before int, after int, previous_before int[], previous_after int[]
);
CREATE FUNCTION record_live_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO live_changes (function_id, before, after, previous_before, previous_after) VALUES (
        NEW.id, OLD.live_revision, NEW.live_revision, OLD.previous_revisions, NEW.previous_revisions
    );
    RETURN NULL;
END $$;
CREATE TRIGGER record_live_change AFTER UPDATE OF live_revision ON functions FOR EACH ROW
    WHEN (OLD.live_revision IS DISTINCT FROM NEW.live_revision) EXECUTE FUNCTION record_live_change();
"""


class LiveChange(msgspec.Struct, frozen=True):
    """A change of the live revision of a function, with the revisions to roll back to."""

    before: int | None
    after: int | None
    previous_before: Sequence[int]
    previous_after: Sequence[int]

    @property
    def is_rollback(self) -> bool:
        """Whether it took a revision off the previous ones; a promotion adds one."""
        return len(self.previous_after) < len(self.previous_before)

    def is_valid(self, kept: set[int]) -> bool:
        """Return whether it is a promotion, or a rollback to the last previous revision that is `kept`."""
        if self.after is None or self.after == self.before:
            return False
        if not self.is_rollback:
            added = [] if self.before is None else [self.before]
            return list(self.previous_after) == [*self.previous_before, *added]
        left = len(self.previous_after)
        passed = set(self.previous_before[left + 1 :])
        return (
            list(self.previous_after) == list(self.previous_before[:left])
            and self.previous_before[left] == self.after
            and not (passed & kept - {self.before})
        )


_IN_FLIGHT = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'faas%' AND xact_start < $1
"""
_HISTORY_OF = """
SELECT to_char(at AT TIME ZONE 'UTC', 'HH24:MI:SS.US') || ' live ' || coalesce(before::text, 'none') || ' → ' || after
FROM live_changes WHERE function_id = ANY($1::uuid[]) ORDER BY position
"""


async def transactions_end(pool: Pool) -> None:
    """Wait until all transactions that are open now have ended. A killed server may have sent the COMMIT of one."""
    now = await pool.fetchval("SELECT clock_timestamp()")
    await eventually(lambda: pool.fetchval(_IN_FLIGHT, now), lambda count: count == 0, timeout=60)


async def history_of(pool: Pool, functions: Iterable[str]) -> list[str]:
    """Return all changes of the live revisions of functions, for messages."""
    return [row[0] for row in await pool.fetch(_HISTORY_OF, list(functions))]


async def record_history(pool: Pool) -> None:
    """Install the triggers."""
    await pool.execute(_RECORD_HISTORY)


async def live_changes(pool: Pool) -> Mapping[UUID, Sequence[LiveChange]]:
    """Return all changes in their order, by the id of the function."""
    changes: dict[UUID, list[LiveChange]] = {}
    for row in await pool.fetch("SELECT * FROM live_changes ORDER BY position"):
        change = LiveChange(row["before"], row["after"], row["previous_before"], row["previous_after"])
        changes.setdefault(row["function_id"], []).append(change)
    return changes

"""The invariants that hold after any failure, once all work has completed: acknowledged work exists, and exactly once."""

from collections.abc import Iterable

from faas.database.pool import Pool
from tests.helpers.support import eventually

# Records each transition to a final status in the transaction that makes it: a second one adds a second row.
_RECORD_ENDS = """
CREATE TABLE ends (what text, id uuid, revision int, status text);
CREATE FUNCTION record_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ends VALUES (TG_TABLE_NAME, NEW.id, NEW.revision, NEW.status);
    RETURN NULL;
END $$;
CREATE FUNCTION record_end_of_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ends VALUES (TG_TABLE_NAME, NEW.function_id, NEW.number, NEW.status);
    RETURN NULL;
END $$;
CREATE TRIGGER record_end AFTER UPDATE OF status ON revisions FOR EACH ROW
    WHEN (NEW.status IN ('READY', 'FAILED')) EXECUTE FUNCTION record_end_of_revision();
CREATE TRIGGER record_end AFTER UPDATE ON executions FOR EACH ROW
    WHEN (NEW.status <> 'RUNNING') EXECUTE FUNCTION record_end();
"""
_UNSETTLED = """
SELECT 'revision ' || status AS what, count(*) FROM revisions WHERE status NOT IN ('READY', 'FAILED') GROUP BY 1
UNION ALL SELECT 'execution RUNNING', count(*) FROM executions WHERE status = 'RUNNING' HAVING count(*) > 0
UNION ALL SELECT 'job', count(*) FROM pgmq.q_compilation_jobs HAVING count(*) > 0
UNION ALL SELECT 'result', count(*) FROM pgmq.q_compilation_results HAVING count(*) > 0
"""
_ANSWERED_TWICE = """
SELECT message ->> 'functionId' || ' revision ' || (message ->> 'revision') AS what
FROM pgmq.a_compilation_results
WHERE message ? 'success'
GROUP BY message ->> 'functionId', message ->> 'revision'
HAVING count(*) > 1
"""


async def record_ends(pool: Pool) -> None:
    """Install triggers that record how often each revision and execution reaches a final status."""
    await pool.execute(_RECORD_ENDS)


async def assert_invariants(
    pool: Pool, *, functions: Iterable[str], executions: Iterable[str] = (), timeout: float = 40
) -> None:
    """Assert that all work completes within `timeout` seconds, and that nothing is lost or applied twice.

    `functions` and `executions` are the ids that were acknowledged; the executions have a final status.
    """
    assert await eventually(lambda: unsettled(pool), lambda left: not left, timeout=timeout) == {}
    await assert_nothing_lost(pool, functions=functions, executions=executions)


async def unsettled(pool: Pool) -> dict[str, int]:
    """Return how much of which work is not done yet."""
    return {row["what"]: row["count"] for row in await pool.fetch(_UNSETTLED)}


async def assert_nothing_lost(pool: Pool, *, functions: Iterable[str], executions: Iterable[str] = ()) -> None:
    """Assert that nothing is lost or applied twice, once all work is done."""
    found = {str(row["id"]) for row in await pool.fetch("SELECT id FROM functions")}
    assert set(functions) <= found, "an acknowledged function is missing"
    ended = {str(row["id"]) for row in await pool.fetch("SELECT id FROM executions WHERE status <> 'RUNNING'")}
    assert set(executions) <= ended, "an acknowledged execution is missing"
    twice = await pool.fetch("SELECT what, id FROM ends GROUP BY what, id, revision HAVING count(*) > 1")
    assert [tuple(row) for row in twice] == [], "applied twice"
    answered = await pool.fetch(_ANSWERED_TWICE)
    assert [row["what"] for row in answered] == [], "one job has two results"

"""The invariants of revisions, which hold after every committed step, whichever process made it."""

from uuid import UUID

from faas.database.pool import Pool

# Each statement returns the functions that break an invariant.
_VIOLATIONS = {
    "the live revision is READY": """
        SELECT functions.id FROM functions LEFT JOIN revisions ON function_id = id AND number = live_revision
        WHERE live_revision IS NOT NULL AND status IS DISTINCT FROM 'READY'""",
    "a READY revision, and no other, has a module and a contract": """
        SELECT function_id FROM revisions LEFT JOIN modules ON digest = module_digest
        WHERE (status = 'READY') <> (wasm IS NOT NULL) OR (status = 'READY') <> (contract IS NOT NULL)""",
    "a module is stored under its digest": """
        SELECT function_id FROM revisions JOIN modules ON digest = module_digest WHERE sha256(wasm) <> module_digest""",
    "a FAILED revision, and no other, has a compile error": """
        SELECT function_id FROM revisions WHERE (status = 'FAILED') <> (compile_error IS NOT NULL)""",
    "the newest revision is kept and has the highest number": """
        SELECT functions.id FROM functions
        WHERE newest_revision IS DISTINCT FROM (SELECT max(number) FROM revisions WHERE function_id = functions.id)""",
    "a revision belongs to a function": """
        SELECT function_id FROM revisions LEFT JOIN functions ON id = function_id WHERE id IS NULL""",
}

# Every revision and every live revision that was ever committed, in the order of the commits of each function.
_RECORD_HISTORY = """
CREATE TABLE live_changes (
    position bigserial, function_id uuid, before int, after int, previous_before int[], previous_after int[]
);
CREATE FUNCTION record_live_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO live_changes (function_id, before, after, previous_before, previous_after)
    VALUES (NEW.id, OLD.live_revision, NEW.live_revision, OLD.previous_revisions, NEW.previous_revisions);
    RETURN NULL;
END $$;
CREATE TRIGGER record_live_change AFTER UPDATE ON functions FOR EACH ROW
    WHEN (OLD.live_revision IS DISTINCT FROM NEW.live_revision) EXECUTE FUNCTION record_live_change();
CREATE TABLE revision_changes (position bigserial, function_id uuid, number int, status text, content text);
CREATE FUNCTION record_revision_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO revision_changes (function_id, number, status, content)
    VALUES (NEW.function_id, NEW.number, NEW.status,
            md5(row(NEW.language, NEW.source, NEW.settings::text, NEW.created_at)::text));
    RETURN NULL;
END $$;
CREATE TRIGGER record_revision_change AFTER INSERT OR UPDATE ON revisions FOR EACH ROW
    EXECUTE FUNCTION record_revision_change();
"""
_STATUS_ORDER = {"PENDING": 0, "COMPILING": 1, "READY": 2, "FAILED": 2}


async def record_history(pool: Pool) -> None:
    """Install triggers that record every change of a live revision and of a revision, for `assert_history`."""
    await pool.execute(_RECORD_HISTORY)


async def assert_revision_invariants(pool: Pool) -> None:
    """Assert what holds of the rows at any moment."""
    for invariant, statement in _VIOLATIONS.items():
        broken = [str(row[0]) for row in await pool.fetch(statement)]
        assert not broken, f"{invariant}: {broken}"


async def assert_history(pool: Pool) -> None:
    """Assert what holds of the changes since `record_history`: of each revision, and of the live one.

    A revision never changes its content, and its status only goes forward. A change of the live revision is either a
    step forward, which keeps the one before for a rollback, or a rollback, which drops what it goes back over.
    """
    seen: dict[tuple[UUID, int], tuple[str, str]] = {}
    highest: dict[UUID, int] = {}
    for row in await pool.fetch("SELECT * FROM revision_changes ORDER BY position"):
        key = (row["function_id"], row["number"])
        if key in seen:
            status, content = seen[key]
            assert row["content"] == content, f"revision {key} changed"
            assert row["status"] == status or _STATUS_ORDER[row["status"]] > _STATUS_ORDER[status], (key, status)
        else:
            assert row["number"] > highest.get(row["function_id"], 0), f"number {key} was used again"
            highest[row["function_id"]] = row["number"]
        seen[key] = (row["status"], row["content"])
    for row in await pool.fetch("SELECT * FROM live_changes ORDER BY position"):
        before, after = row["previous_before"], row["previous_after"]
        went_on = after == [*before, *([] if row["before"] is None else [row["before"]])]
        went_back = after == before[: len(after)] and len(after) < len(before) and row["after"] == before[len(after)]
        assert went_on or went_back, dict(row)
        assert row["after"] is not None, "a function lost its live revision"

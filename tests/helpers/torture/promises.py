"""The promises that hold after any kills, once all work is done."""

import json
from uuid import UUID

import msgspec

from faas.database.pool import Pool
from tests.helpers.invariants import assert_nothing_lost
from tests.helpers.torture.history import live_changes
from tests.helpers.torture.ledger import KnownFunction, Ledger

_WRONG_EXECUTIONS = """
SELECT wanted.id, wanted.revision AS answered, executions.revision, status, output::text
FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::text[]) AS wanted (id, function_id, revision, input)
LEFT JOIN executions USING (id, function_id, revision)
LEFT JOIN deployed ON deployed.function_id = wanted.function_id AND deployed.number = wanted.revision
WHERE status IS DISTINCT FROM 'COMPLETED'
   OR output::jsonb IS DISTINCT FROM jsonb_build_object('marker', marker, 'input', wanted.input::jsonb)
"""
_MADE_BY_ANOTHER_REVISION = """
SELECT id, revision, output::text
FROM executions LEFT JOIN deployed ON deployed.function_id = executions.function_id AND number = revision
WHERE status = 'COMPLETED' AND output ->> 'marker' IS DISTINCT FROM marker
"""
_FAILED_OTHERWISE = """
SELECT id, error_message FROM executions WHERE status = 'FAILED' AND error_message <> 'interrupted'
"""
_GAPS = """
SELECT function_id, count(*), max(number), newest_revision
FROM deployed JOIN functions ON id = function_id
GROUP BY function_id, newest_revision
HAVING count(*) <> max(number) OR max(number) <> newest_revision
"""
# A job may fail on five killed servers and become a dead letter. Every other source ends as it must.
_WRONG_ENDS = """
SELECT function_id, number, status, compile_error
FROM revisions JOIN deployed USING (function_id, number)
WHERE NOT (status = 'FAILED' AND (broken OR compile_error LIKE '%failed after%'))
  AND NOT (status = 'READY' AND NOT broken)
"""
_WITHOUT_MODULE = """
SELECT function_id, number FROM revisions LEFT JOIN modules ON digest = module_digest
WHERE status = 'READY' AND digest IS NULL
"""
_NOT_LIVE = """
SELECT id, live_revision, status
FROM functions LEFT JOIN revisions AS live ON function_id = id AND number = live_revision
WHERE live.status IS DISTINCT FROM 'READY'
  AND EXISTS (SELECT FROM revisions WHERE function_id = id AND revisions.status = 'READY')
"""


class _State(msgspec.Struct):
    """The end of a function: its live revision, and what there is of its revisions."""

    live: int | None
    kept: set[int]
    promotable: set[int]  # READY, and not deployed to wait for a decision


async def assert_promises(pool: Pool, ledger: Ledger) -> None:
    """Assert that what was acknowledged is so, and that nothing is lost, applied twice or out of order."""
    functions = [function.id for function in ledger.functions]
    await assert_nothing_lost(pool, functions=functions, executions=ledger.executions)
    await _assert_executions(pool, ledger)
    for query in (_MADE_BY_ANOTHER_REVISION, _FAILED_OTHERWISE, _GAPS, _WRONG_ENDS, _WITHOUT_MODULE, _NOT_LIVE):
        await _assert_no_rows(pool, query)
    await _assert_deploys(pool, ledger)
    await _assert_decisions(pool, ledger)


async def _assert_no_rows(pool: Pool, query: str, *arguments: object) -> None:
    rows = [tuple(row) for row in await pool.fetch(query, *arguments)]
    assert not rows, f"{len(rows)} rows, the first are {rows[:5]}: {query}"


async def _assert_executions(pool: Pool, ledger: Ledger) -> None:
    """Assert that each acknowledged execution has the answer of its revision to its input."""
    known = ledger.executions
    await _assert_no_rows(
        pool,
        _WRONG_EXECUTIONS,
        list(known),
        [execution.function for execution in known.values()],
        [execution.revision for execution in known.values()],
        [json.dumps({"n": execution.number}) for execution in known.values()],
    )


async def _assert_deploys(pool: Pool, ledger: Ledger) -> None:
    """Assert that each acknowledged revision was deployed with its number, from its source."""
    rows = await pool.fetch("SELECT function_id, number, marker FROM deployed")
    deployed = {(str(row["function_id"]), row["number"]): row["marker"] for row in rows}
    wanted = {
        (function.id, number): marker for function in ledger.functions for number, marker in function.revisions.items()
    }
    wrong = [(key, marker, deployed.get(key)) for key, marker in wanted.items() if deployed.get(key) != marker]
    assert not wrong, f"acknowledged revisions are missing, or have another source: {wrong[:5]}"


async def _assert_decisions(pool: Pool, ledger: Ledger) -> None:
    """Assert that every live revision follows from the deploys, promotions and rollbacks that were acknowledged."""
    states, changes = await _states(pool), await live_changes(pool)
    for identity, made in changes.items():
        for change in made:
            assert change.is_valid(states[identity].kept), f"{identity}: {change}"
    for function in ledger.functions:
        state, made = states[UUID(function.id)], changes.get(UUID(function.id), [])
        rollbacks = sum(change.is_rollback for change in made)
        most = function.rollbacks + function.lost_rollbacks
        assert function.rollbacks <= rollbacks <= most, f"{function.name}: {rollbacks} rollbacks, {function}"
        assert state.live in _possible(function, state), f"{function.name}: {state.live} is live, {function}"


def _possible(function: KnownFunction, state: _State) -> set[int | None]:
    """Return the revisions that may be live: after the last that was seen live, the newest that went live by itself."""
    if function.live is None:
        return {*state.kept, None}
    later = {number for number in state.promotable if number > function.floor}
    if function.certain:
        return {max(later)} if later else {function.live}
    return {function.live, *later}


async def _states(pool: Pool) -> dict[UUID, _State]:
    states = {}
    for row in await pool.fetch("SELECT id, live_revision FROM functions"):
        states[row["id"]] = _State(row["live_revision"], set(), set())
    for row in await pool.fetch(
        "SELECT function_id, number, status = 'READY' AND promote AS promotable FROM revisions"
    ):
        states[row["function_id"]].kept.add(row["number"])
        if row["promotable"]:
            states[row["function_id"]].promotable.add(row["number"])
    return states

"""Recovery: what a dead process left is closed; what still runs, wherever it runs, is not."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from faas.database.pool import Pool
from faas.executions.liveness import INTERVAL, SILENCE, Recovery


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def running_execution(pool: Pool, process_id: UUID) -> UUID:
    function_id = uuid4()
    await pool.execute(
        "INSERT INTO functions (id, name, language, source) VALUES ($1, $2, 'wat', 'x')", function_id, f"f{function_id}"
    )
    execution_id = uuid4()
    await pool.execute(
        "INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at) "
        "VALUES ($1, $2, 1, $3, '{}', $4, $4)",
        execution_id,
        function_id,
        process_id,
        datetime.now(UTC),
        timeout=5,
    )
    return execution_id


async def watch(observer: Recovery, clock: Clock, seconds: float) -> list[UUID]:
    """Let the observer look around every INTERVAL for so long."""
    closed = []
    for _ in range(int(seconds / INTERVAL) + 1):
        closed += await observer.look()
        clock.now += INTERVAL
    return closed


async def status(pool: Pool, execution_id: UUID) -> tuple[str, str | None]:
    row = await pool.fetchrow("SELECT status, error_message FROM executions WHERE id = $1", execution_id)
    assert row
    return row["status"], row["error_message"]


async def test_what_a_dead_process_left_is_closed_as_interrupted(pool: Pool) -> None:
    dead, clock = uuid4(), Clock()
    await Recovery(pool, dead).beat()
    execution_id = await running_execution(pool, dead)
    observer = Recovery(pool, uuid4(), clock)
    assert await watch(observer, clock, SILENCE - INTERVAL) == []
    assert await watch(observer, clock, 2 * INTERVAL) == [execution_id]
    assert clock.now < 30
    assert await status(pool, execution_id) == ("FAILED", "interrupted")
    assert await pool.fetchval("SELECT count(*) FROM processes WHERE id = $1", dead) == 0


async def test_what_still_runs_is_left_alone_by_itself_and_by_others(pool: Pool) -> None:
    clock = Clock()
    one, two = uuid4(), uuid4()
    first, second = Recovery(pool, one, clock), Recovery(pool, two, clock)
    executions = [await running_execution(pool, one), await running_execution(pool, two)]
    for _ in range(40):
        assert await first.look() == []
        assert await second.look() == []
        clock.now += INTERVAL
    for execution_id in executions:
        assert await status(pool, execution_id) == ("RUNNING", None)


async def test_an_execution_without_any_process_is_closed(pool: Pool) -> None:
    clock = Clock()
    execution_id = await running_execution(pool, uuid4())
    observer = Recovery(pool, uuid4(), clock)
    assert await watch(observer, clock, SILENCE + INTERVAL) == [execution_id]


async def test_time_in_which_the_observer_was_held_up_does_not_count(pool: Pool) -> None:
    """Everyone may have been: a database that restarts, a lock. Two looks far apart prove nothing."""
    other, clock = uuid4(), Clock()
    await Recovery(pool, other).beat()
    await running_execution(pool, other)
    observer = Recovery(pool, uuid4(), clock)
    await observer.look()
    clock.now += 600
    assert await observer.look() == []


async def test_a_process_that_beats_again_in_the_last_moment_is_left_alone(pool: Pool) -> None:
    other, clock = uuid4(), Clock()
    beating = Recovery(pool, other)
    await beating.beat()
    execution_id = await running_execution(pool, other)
    observer = Recovery(pool, uuid4(), clock)
    await watch(observer, clock, SILENCE - INTERVAL)
    await beating.beat()
    assert await watch(observer, clock, 2 * INTERVAL) == []
    assert await status(pool, execution_id) == ("RUNNING", None)


async def test_a_clean_end_leaves_no_process_behind(pool: Pool) -> None:
    process_id = uuid4()
    recovery = Recovery(pool, process_id)
    await recovery.beat()
    await recovery.leave()
    assert await pool.fetchval("SELECT count(*) FROM processes") == 0

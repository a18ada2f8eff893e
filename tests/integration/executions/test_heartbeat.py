"""Heartbeats: the executions of a dead process are reaped, and those of a live process, on any machine, are not."""

from uuid import UUID, uuid4

from faas.database.pool import Pool
from faas.executions.heartbeat import HEARTBEAT_INTERVAL_SECONDS, HEARTBEAT_TIMEOUT_SECONDS, HeartbeatMonitor
from tests.helpers.executions import insert_running_execution, status_of

INTERVAL, TIMEOUT = HEARTBEAT_INTERVAL_SECONDS, HEARTBEAT_TIMEOUT_SECONDS


class ManualClock:
    """A clock that advances when the test sets `now`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def check_for(monitor: HeartbeatMonitor, clock: ManualClock, seconds: float) -> list[UUID]:
    """Check the peers every interval for `seconds`; returns the ids of the executions that were reaped."""
    reaped = []
    for _ in range(int(seconds / INTERVAL) + 1):
        reaped += await monitor.check_peers()
        clock.now += INTERVAL
    return reaped


async def test_heartbeat_executions_of_a_dead_process_are_reaped(pool: Pool) -> None:
    dead, clock = uuid4(), ManualClock()
    await HeartbeatMonitor(pool, dead).send_heartbeat()
    execution_id = await insert_running_execution(pool, dead)
    observer = HeartbeatMonitor(pool, uuid4(), clock)
    assert await check_for(observer, clock, TIMEOUT - INTERVAL) == []
    assert await check_for(observer, clock, 2 * INTERVAL) == [execution_id]
    assert clock.now < 30
    assert await status_of(pool, execution_id) == ("FAILED", "interrupted")
    assert await pool.fetchval("SELECT count(*) FROM processes WHERE id = $1", dead) == 0


async def test_heartbeat_executions_of_live_processes_are_not_reaped(pool: Pool) -> None:
    clock = ManualClock()
    one, two = uuid4(), uuid4()
    first, second = HeartbeatMonitor(pool, one, clock), HeartbeatMonitor(pool, two, clock)
    executions = [await insert_running_execution(pool, one), await insert_running_execution(pool, two)]
    for _ in range(40):
        assert await first.check_peers() == []
        assert await second.check_peers() == []
        clock.now += INTERVAL
    for execution_id in executions:
        assert await status_of(pool, execution_id) == ("RUNNING", None)


async def test_heartbeat_execution_of_an_unregistered_process_is_reaped(pool: Pool) -> None:
    clock = ManualClock()
    execution_id = await insert_running_execution(pool, uuid4())
    observer = HeartbeatMonitor(pool, uuid4(), clock)
    assert await check_for(observer, clock, TIMEOUT + INTERVAL) == [execution_id]


async def test_heartbeat_delay_of_the_observer_does_not_count(pool: Pool) -> None:
    """The peer may have been delayed too, by a database restart or a lock: two checks far apart prove nothing."""
    other, clock = uuid4(), ManualClock()
    await HeartbeatMonitor(pool, other).send_heartbeat()
    await insert_running_execution(pool, other)
    observer = HeartbeatMonitor(pool, uuid4(), clock)
    await observer.check_peers()
    clock.now += 600
    assert await observer.check_peers() == []


async def test_heartbeat_just_before_the_timeout_prevents_reaping(pool: Pool) -> None:
    other, clock = uuid4(), ManualClock()
    peer = HeartbeatMonitor(pool, other)
    await peer.send_heartbeat()
    execution_id = await insert_running_execution(pool, other)
    observer = HeartbeatMonitor(pool, uuid4(), clock)
    await check_for(observer, clock, TIMEOUT - INTERVAL)
    await peer.send_heartbeat()
    assert await check_for(observer, clock, 2 * INTERVAL) == []
    assert await status_of(pool, execution_id) == ("RUNNING", None)


async def test_heartbeat_deregister_removes_the_process(pool: Pool) -> None:
    process_id = uuid4()
    monitor = HeartbeatMonitor(pool, process_id)
    await monitor.send_heartbeat()
    await monitor.deregister()
    assert await pool.fetchval("SELECT count(*) FROM processes") == 0

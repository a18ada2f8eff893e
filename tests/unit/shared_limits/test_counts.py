"""Numbers that several processes have in common."""

import pytest

from faas.shared_limits import SharedMemory
from tests.helpers.limit_takers import take


def test_count_is_limited_for_all_slots() -> None:
    memory = SharedMemory.create(3)
    one, two = (memory.limits(slot).executions for slot in (0, 1))
    assert [one.enter(3), two.enter(3), two.enter(3)] == [True] * 3
    assert not one.enter(3)
    assert not two.enter(3)
    assert one.total == 3
    two.leave()
    assert one.enter(3)
    assert not two.enter(3)


def test_count_of_a_worker_that_ended_is_free_again() -> None:
    memory = SharedMemory.create(2)
    one, two = (memory.limits(slot).executions for slot in (0, 1))
    assert one.enter(2)
    assert two.enter(2)
    memory.clear(0)
    assert two.total == 1
    assert two.enter(2)
    assert not two.enter(2)


@pytest.mark.parametrize("kind", ["count", "function"])
async def test_limit_holds_while_processes_race_for_it(kind: str) -> None:
    memory = SharedMemory.create(3)
    found = await take(kind, memory, limit=2, seconds=1, processes=3)
    assert [too_many for _, too_many in found] == [0, 0, 0]
    assert all(admitted > 0 for admitted, _ in found)
    assert memory.limits(0).executions.total == 0


def test_connections_tell_who_has_least() -> None:
    memory = SharedMemory.create(3)
    one, two = (memory.limits(slot).connections for slot in (0, 1))
    one.publish(5)
    assert one.has_least(5)  # alone
    two.publish(3)
    assert not one.has_least(5)
    one.publish(3)
    assert one.has_least(3)
    assert two.has_least(3)
    one.publish(4)
    assert not one.has_least(4)
    two.withdraw()
    assert one.has_least(4)

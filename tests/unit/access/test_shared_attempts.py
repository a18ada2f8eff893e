"""Failed authentications of several processes."""

from faas.access.shared_attempts import SharedAttempts
from faas.shared_limits import SharedMemory
from tests.helpers.clock import Clock


def pair(clock: Clock) -> tuple[SharedAttempts, SharedAttempts]:
    memory = SharedMemory.create(4)
    one, two = memory.limits(0), memory.limits(1)
    return SharedAttempts(one.failures, one.admitted, clock), SharedAttempts(two.failures, two.admitted, clock)


def test_shared_attempts_failures_count_in_all_processes() -> None:
    clock = Clock()
    one, two = pair(clock)
    assert [one.begin("192.0.2.1") for _ in range(12)] == [0.0] * 12
    assert [two.begin("192.0.2.1") for _ in range(9)] == [0.0] * 8 + [5.0]
    assert one.begin("192.0.2.1") == 5.0
    assert one.begin("192.0.2.2") == 0.0
    clock.now += 5
    assert [two.begin("192.0.2.1"), one.begin("192.0.2.1")] == [0.0, 5.0]


def test_shared_attempts_success_is_known_to_all_and_is_not_counted() -> None:
    one, two = pair(Clock())
    for _ in range(30):
        assert one.begin("192.0.2.1") == 0.0
        one.succeed("192.0.2.1", "good")
    for _ in range(30):
        one.begin("192.0.2.1")
    assert two.is_admitted("192.0.2.1", "good")
    assert not two.is_admitted("192.0.2.1", "other")
    assert not two.is_admitted("192.0.2.2", "good")


def test_shared_attempts_take_back_is_for_all() -> None:
    one, two = pair(Clock())
    for _ in range(20):
        one.begin("192.0.2.1")
    two.take_back("192.0.2.1")
    assert [one.begin("192.0.2.1"), two.begin("192.0.2.1")] == [0.0, 5.0]

"""The limit on failed authentications."""

from faas.access import attempts
from faas.access.attempts import Attempts
from tests.helpers.clock import Clock


def fail(subject: Attempts, address: str, times: int) -> list[float]:
    return [subject.begin(address) for _ in range(times)]


def test_attempts_an_address_fails_twenty_times_and_then_once_in_five_seconds() -> None:
    clock = Clock()
    subject = Attempts(clock)
    assert fail(subject, "192.0.2.1", 20) == [0.0] * 20
    assert subject.begin("192.0.2.1") == 5.0
    clock.now += 5
    assert fail(subject, "192.0.2.1", 2) == [0.0, 5.0]
    clock.now += 3600
    assert fail(subject, "192.0.2.1", 21) == [0.0] * 20 + [5.0]


def test_attempts_addresses_do_not_limit_each_other() -> None:
    subject = Attempts(Clock())
    fail(subject, "192.0.2.1", 30)
    assert subject.begin("192.0.2.2") == 0.0


def test_attempts_an_ipv6_client_is_its_network() -> None:
    subject = Attempts(Clock())
    fail(subject, "2001:db8::1", 20)
    assert subject.begin("2001:db8::ffff:1") > 0
    assert subject.begin("2001:db8:0:1::1") == 0.0


def test_attempts_an_ipv4_client_is_the_same_over_ipv6() -> None:
    subject = Attempts(Clock())
    fail(subject, "::ffff:192.0.2.1", 20)
    assert subject.begin("192.0.2.1") > 0


def test_attempts_success_is_not_counted_and_is_remembered() -> None:
    subject = Attempts(Clock())
    for _ in range(50):
        assert subject.begin("192.0.2.1") == 0.0
        subject.succeed("192.0.2.1", "good")
    assert subject.is_admitted("192.0.2.1", "good")
    assert not subject.is_admitted("192.0.2.2", "good")
    assert not subject.is_admitted("192.0.2.1", "other")
    fail(subject, "192.0.2.1", 30)
    assert subject.is_admitted("192.0.2.1", "good")


def test_attempts_success_takes_back_one_failure_only() -> None:
    subject = Attempts(Clock())
    fail(subject, "192.0.2.1", 19)
    subject.begin("192.0.2.1")
    subject.succeed("192.0.2.1", "good")
    assert fail(subject, "192.0.2.1", 2) == [0.0, 5.0]


def test_attempts_that_are_taken_back_are_not_counted_or_remembered() -> None:
    subject = Attempts(Clock())
    for _ in range(50):
        assert subject.begin("192.0.2.1") == 0.0
        subject.take_back("192.0.2.1")
    assert not subject._failures
    assert not subject._admitted


def test_attempts_memory_is_bounded() -> None:
    subject = Attempts(Clock())
    for number in range(attempts._MAX_ADDRESSES + 100):
        subject.begin(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(subject._failures) <= attempts._MAX_ADDRESSES
    for number in range(attempts._MAX_ADMITTED + 100):
        subject.succeed("192.0.2.1", str(number))
    assert len(subject._admitted) <= attempts._MAX_ADMITTED

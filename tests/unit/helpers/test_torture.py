"""Tests of what the torture test judges by: it must notice what is wrong."""

import httpx
import pytest

from tests.helpers.torture.backlog import StallDetector
from tests.helpers.torture.history import LiveChange
from tests.helpers.torture.ledger import KnownFunction, Ledger


def test_stall_detector_fails_only_without_a_change() -> None:
    now = 0.0
    detector = StallDetector(60, clock=lambda: now)
    for left in (5, 4, 4, 5):
        detector.observe(left)
        now += 29
    detector.observe(5)
    now += 31
    with pytest.raises(AssertionError, match="no progress for 60 s: 5"):
        detector.observe(5)


def test_known_function_observes_what_went_live_by_itself() -> None:
    function = KnownFunction("id", "f", {1: "a"})
    assert [function.observe(number) for number in (1, 1, 3, 4)] == [True] * 4
    assert not function.observe(3)  # an older one than was live


def test_known_function_observes_decisions() -> None:
    function = KnownFunction("id", "f", {1: "a"})
    function.decide(2, latest=5)
    assert function.observe(2)
    assert not function.observe(5)  # its automatic promotion was cancelled
    assert not function.observe(1)  # the decision is lost
    assert function.observe(6)
    assert not function.observe(2)
    function.forget()
    assert function.observe(2)


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        (LiveChange(None, 1, [], []), True),
        (LiveChange(1, 2, [], [1]), True),
        (LiveChange(5, 2, [1, 2], [1, 2, 5]), True),
        (LiveChange(1, 2, [], []), False),  # the revision to roll back to is lost
        (LiveChange(3, 2, [1, 2], [1]), True),
        (LiveChange(3, 1, [1, 2], []), False),  # 2 is still kept
        (LiveChange(3, 1, [1, 9], []), True),  # 9 has been removed
        (LiveChange(3, 1, [1, 3], []), True),
        (LiveChange(3, 2, [1, 2], []), False),
        (LiveChange(3, None, [1, 2], [1]), False),
    ],
)
def test_live_change_is_a_promotion_or_a_rollback(change: LiveChange, valid: bool) -> None:
    assert change.is_valid(kept={1, 2, 3, 4, 5}) is valid


def test_ledger_reports_an_answer_that_was_not_expected() -> None:
    ledger = Ledger()
    assert ledger.acknowledged("execute", httpx.Response(200), 503)
    assert not ledger.acknowledged("execute", httpx.Response(503), 503)
    assert ledger.unexpected == []
    assert not ledger.acknowledged("execute", httpx.Response(400, text="not READY"), 503)
    assert ledger.unexpected == ["execute: 400 not READY"]

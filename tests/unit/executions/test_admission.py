"""Admission: concurrency and rate of a function, as this process knows them."""

from uuid import UUID

import pytest

from faas.errors import FunctionLimitReached
from faas.executions.admission import Admission, KnownLimits
from faas.function_ref import FunctionRef
from faas.function_settings import NO_LIMITS, FunctionLimits
from tests.helpers.clock import Clock

FUNCTION = UUID(int=7)
NAME = FunctionRef.by_name("orders")


def known(limits: FunctionLimits) -> KnownLimits:
    return KnownLimits(FUNCTION, limits)


def run(admission: Admission, function_ref: FunctionRef, limits: KnownLimits) -> None:
    admission.enter(function_ref, limits)
    admission.leave(limits)


def test_admission_limits_concurrency() -> None:
    admission = Admission(Clock())
    limits = known(FunctionLimits(concurrency=2))
    admission.enter(NAME, limits)
    admission.enter(NAME, limits)
    with pytest.raises(
        FunctionLimitReached, match=r"'orders' has 2 executions in flight; .* allow 2 at once"
    ) as refused:
        admission.enter(NAME, limits)
    assert refused.value.retry_after == 1
    admission.leave(limits)
    admission.enter(NAME, limits)


def test_admission_counts_a_function_whatever_it_is_called() -> None:
    admission = Admission(Clock())
    limits = known(FunctionLimits(concurrency=1))
    admission.enter(NAME, limits)
    for other in (FunctionRef.by_id(FUNCTION), FunctionRef(None, "orders", 3)):
        with pytest.raises(FunctionLimitReached):
            admission.enter(other, limits)


@pytest.mark.parametrize(("per_second", "burst", "wait"), [(4, 4, 0.25), (1, 1, 1.0), (0.1, 1, 10.0)])
def test_admission_limits_the_rate(per_second: float, burst: int, wait: float) -> None:
    clock = Clock()
    admission = Admission(clock)
    limits = known(FunctionLimits(per_second=per_second))
    for _ in range(burst):
        run(admission, NAME, limits)
    with pytest.raises(FunctionLimitReached, match=f"more often than {per_second:g} times per second") as refused:
        admission.enter(NAME, limits)
    assert refused.value.retry_after == max(1, round(wait))
    clock.now += wait
    run(admission, NAME, limits)
    with pytest.raises(FunctionLimitReached):
        admission.enter(NAME, limits)


def test_admission_refused_starts_do_not_count() -> None:
    clock = Clock()
    admission = Admission(clock)
    limits = known(FunctionLimits(per_second=1))
    run(admission, NAME, limits)
    for _ in range(50):
        with pytest.raises(FunctionLimitReached):
            admission.enter(NAME, limits)
    clock.now += 1
    run(admission, NAME, limits)


def test_admission_of_a_new_revision_counts_its_first_start() -> None:
    admission = Admission(Clock())
    entered, ran = known(NO_LIMITS), known(FunctionLimits(per_second=1))
    admission.enter(NAME, entered)
    admission.correct(NAME, entered, ran)
    admission.leave(entered)
    assert admission.get_known(NAME) == ran
    with pytest.raises(FunctionLimitReached):
        admission.enter(NAME, ran)


def test_admission_remembers_a_bounded_number_of_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faas.executions.admission._MAX_KNOWN", 2)
    admission = Admission(Clock())
    names = [FunctionRef.by_name(name) for name in "abc"]
    for name in names[:2]:
        admission.learn(name, known(NO_LIMITS))
    assert admission.get_known(names[0])
    admission.learn(names[2], known(NO_LIMITS))
    assert [name.name for name in names if admission.get_known(name)] == ["a", "c"]
    admission.forget(names[0])
    assert admission.get_known(names[0]) is None


def test_admission_holds_nothing_of_idle_functions() -> None:
    clock = Clock()
    admission = Admission(clock)
    for number in range(50):
        function_ref = FunctionRef.by_name(f"f{number}")
        run(admission, function_ref, known(NO_LIMITS))
    limited = known(FunctionLimits(per_second=1))
    admission.enter(NAME, limited)
    clock.now += 1
    admission.leave(limited)
    assert admission.functions_in_use == 0


def test_admission_doubts_a_refusal_ten_times_a_second() -> None:
    clock = Clock()
    admission = Admission(clock)
    assert not admission.may_be_outdated(NAME)
    admission.learn(NAME, known(FunctionLimits(per_second=0.001)))
    assert [admission.may_be_outdated(NAME) for _ in range(3)] == [True, False, False]
    admission.learn(NAME, known(NO_LIMITS))
    assert not admission.may_be_outdated(NAME)
    clock.now += 1
    assert admission.may_be_outdated(NAME)


def test_admission_forgets_the_use_under_an_older_rate() -> None:
    clock = Clock()
    admission = Admission(clock)
    run(admission, NAME, known(FunctionLimits(per_second=0.001)))
    faster = known(FunctionLimits(per_second=100))
    with pytest.raises(FunctionLimitReached) as refused:
        admission.enter(NAME, faster)
    assert refused.value.retry_after == 1
    for _ in range(50):
        clock.now += 0.0101
        run(admission, NAME, faster)


def test_admission_late_starts_count_for_one_burst_at_most() -> None:
    admission = Admission(Clock())
    entered, ran = known(NO_LIMITS), known(FunctionLimits(per_second=0.1))
    for _ in range(64):
        admission.enter(NAME, entered)
        admission.correct(NAME, entered, ran)
    with pytest.raises(FunctionLimitReached) as refused:
        admission.enter(NAME, ran)
    assert refused.value.retry_after <= 20

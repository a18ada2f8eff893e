"""Admission for several processes: each has an object of its own, on the same memory."""

from uuid import UUID

import pytest

from faas.errors import FunctionLimitReached
from faas.executions.admission import KnownLimits
from faas.executions.shared_admission import SharedAdmission
from faas.function_ref import FunctionRef
from faas.function_settings import NO_LIMITS, FunctionLimits
from faas.shared_limits import SharedMemory
from tests.helpers.clock import Clock

FUNCTION = UUID(int=7)
NAME = FunctionRef.by_name("orders")


def known(limits: FunctionLimits) -> KnownLimits:
    return KnownLimits(FUNCTION, limits)


def pair(clock: Clock | None = None) -> tuple[SharedMemory, SharedAdmission, SharedAdmission]:
    memory = SharedMemory.create(4)
    one, two = (SharedAdmission(memory.limits(slot).functions, clock or Clock()) for slot in (0, 1))
    return memory, one, two


def refuses(admission: SharedAdmission, limits: KnownLimits) -> bool:
    try:
        admission.enter(NAME, limits)
    except FunctionLimitReached:
        return True
    admission.leave(limits)
    return False


def test_shared_admission_concurrency_is_that_of_all() -> None:
    _, one, two = pair()
    limits = known(FunctionLimits(concurrency=2))
    one.enter(NAME, limits)
    two.enter(NAME, limits)
    for admission in (one, two):
        with pytest.raises(FunctionLimitReached, match=r"has 2 executions in flight; .* allow 2 at once"):
            admission.enter(NAME, limits)
    two.leave(limits)
    assert two.functions_in_use == 0
    one.enter(NAME, limits)
    assert refuses(two, limits)
    assert two.functions_in_use == 0
    one.leave(limits)
    one.leave(limits)
    assert not refuses(two, limits)


def test_shared_admission_frees_what_a_dead_process_counted() -> None:
    memory, one, two = pair()
    limits = known(FunctionLimits(concurrency=1))
    one.enter(NAME, limits)
    assert refuses(two, limits)
    memory.clear(0)
    assert not refuses(two, limits)


def test_shared_admission_rate_is_that_of_all() -> None:
    clock = Clock()
    _, one, two = pair(clock)
    limits = known(FunctionLimits(per_second=4))
    admitted = [not refuses(admission, limits) for admission in (one, two, two, one, two, one)]
    assert admitted == [True] * 4 + [False] * 2
    clock.now += 0.25
    assert [refuses(two, limits), refuses(one, limits)] == [False, True]


def test_shared_admission_counts_starts_of_another_revision() -> None:
    clock = Clock()
    _, one, two = pair(clock)
    entered, ran = known(NO_LIMITS), known(FunctionLimits(per_second=1))
    one.enter(NAME, entered)
    one.correct(NAME, entered, ran)
    assert one.get_known(NAME) == ran
    assert refuses(two, ran)
    clock.now += 1
    assert not refuses(two, ran)


def test_shared_admission_counts_executions_that_began_without_a_limit() -> None:
    """In the process that knows of the limit: the others tell when they learn of it."""
    _, one, two = pair()
    limits = known(FunctionLimits(concurrency=3))
    for _ in range(2):
        one.enter(NAME, known(NO_LIMITS))
    one.enter(NAME, limits)
    assert refuses(two, limits)
    one.leave(known(NO_LIMITS))
    assert not refuses(two, limits)
    one.enter(NAME, known(NO_LIMITS))  # an older revision, by its number
    assert refuses(two, limits)


def test_shared_admission_without_limits_takes_no_entry() -> None:
    memory, one, _ = pair()
    for limits in (NO_LIMITS, FunctionLimits(time=1.0)):
        one.enter(NAME, known(limits))
    assert not memory.limits(0).functions.has(FUNCTION.bytes)

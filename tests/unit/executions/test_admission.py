"""Admission: concurrency and rate of a function, as this process knows them."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from faas.errors import FunctionLimitReached, FunctionNotFound
from faas.executions.admission import Admission, KnownLimits
from faas.function_ref import FunctionRef
from faas.function_settings import NO_LIMITS, FunctionLimits

FUNCTION = UUID(int=7)
NAME = FunctionRef.by_name("orders")


class Clock:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def known(limits: FunctionLimits) -> KnownLimits:
    return KnownLimits(FUNCTION, limits)


def looks_up(limits: FunctionLimits) -> Callable[[], Awaitable[KnownLimits]]:
    async def look_up() -> KnownLimits:
        return known(limits)

    return look_up


async def not_asked() -> KnownLimits:
    raise AssertionError("the limits are known")


async def test_admission_limits_concurrency() -> None:
    admission = Admission(Clock())
    limits = looks_up(FunctionLimits(concurrency=2))
    first = await admission.enter(NAME, limits)
    await admission.enter(NAME, not_asked)
    with pytest.raises(
        FunctionLimitReached, match=r"'orders' has 2 executions in flight; .* allow 2 at once"
    ) as refused:
        await admission.enter(NAME, not_asked)
    assert refused.value.retry_after == 1
    admission.leave(first)
    await admission.enter(NAME, not_asked)


async def test_admission_counts_a_function_whatever_it_is_called() -> None:
    admission = Admission(Clock())
    limits = looks_up(FunctionLimits(concurrency=1))
    await admission.enter(NAME, limits)
    for other in (FunctionRef.by_id(FUNCTION), FunctionRef(None, "orders", 3)):
        with pytest.raises(FunctionLimitReached):
            await admission.enter(other, limits)


@pytest.mark.parametrize(("per_second", "burst", "wait"), [(4, 4, 0.25), (1, 1, 1.0), (0.1, 1, 10.0)])
async def test_admission_limits_the_rate(per_second: float, burst: int, wait: float) -> None:
    clock = Clock()
    admission = Admission(clock)
    limits = looks_up(FunctionLimits(per_second=per_second))
    for _ in range(burst):
        admission.leave(await admission.enter(NAME, limits))
    with pytest.raises(FunctionLimitReached, match=f"more often than {per_second:g} times per second") as refused:
        await admission.enter(NAME, limits)
    assert refused.value.retry_after == max(1, round(wait))
    clock.now += wait
    admission.leave(await admission.enter(NAME, limits))
    with pytest.raises(FunctionLimitReached):
        await admission.enter(NAME, limits)


async def test_admission_refused_starts_do_not_count() -> None:
    clock = Clock()
    admission = Admission(clock)
    limits = looks_up(FunctionLimits(per_second=1))
    admission.leave(await admission.enter(NAME, limits))
    for _ in range(50):
        with pytest.raises(FunctionLimitReached):
            await admission.enter(NAME, limits)
    clock.now += 1
    admission.leave(await admission.enter(NAME, limits))


async def test_admission_of_a_new_revision_counts_its_first_start() -> None:
    admission = Admission(Clock())
    entered = await admission.enter(NAME, looks_up(NO_LIMITS))
    admission.correct(NAME, entered, known(FunctionLimits(per_second=1)))
    admission.leave(entered)
    with pytest.raises(FunctionLimitReached):
        await admission.enter(NAME, not_asked)


async def test_admission_remembers_nothing_of_a_function_that_is_not_found() -> None:
    async def fail() -> KnownLimits:
        raise FunctionNotFound("orders")

    admission = Admission(Clock())
    with pytest.raises(FunctionNotFound):
        await admission.enter(NAME, fail)
    admission.leave(await admission.enter(NAME, looks_up(NO_LIMITS)))
    admission.forget(NAME)
    with pytest.raises(FunctionNotFound):
        await admission.enter(NAME, fail)


async def test_admission_holds_nothing_of_idle_functions() -> None:
    clock = Clock()
    admission = Admission(clock)
    for number in range(50):
        function_ref = FunctionRef.by_name(f"f{number}")
        admission.leave(await admission.enter(function_ref, looks_up(NO_LIMITS)))
    limited = await admission.enter(NAME, looks_up(FunctionLimits(per_second=1)))
    clock.now += 1
    admission.leave(limited)
    assert admission.functions_in_use == 0

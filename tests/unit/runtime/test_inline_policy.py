"""The inline policy: quick modules run on the event loop, and slow ones, or large outputs, in guest threads."""

import asyncio
import hashlib
import resource
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import structlog

from faas import json_documents
from faas.runtime.hand_off import HandOff
from faas.runtime.inline_policy import (
    InlinePolicy,
    PoliciesByFunction,
    RunInThread,
    TryInlineAgain,
    main_thread_stack_fits,
)
from tests.helpers.guests import run_module, small_runtime
from tests.helpers.support import core_wat, wat

QUICK_SECONDS, SLOW_SECONDS = 0.0, 0.2


class Clock:
    """The time that policies see, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("faas.runtime.inline_policy.time", clock)
    return clock


def new_policy(**options: Any) -> InlinePolicy:
    """Return the policy of a new module on a host where a hand-off costs little."""
    return InlinePolicy(HandOff(), "module", **options)


def record(policy: InlinePolicy, *durations: float) -> list[bool]:
    """Record executions, and return the decision after each of them."""
    decisions = []
    for seconds in durations:
        policy.record_duration(seconds)
        decisions.append(policy.runs_inline)
    return decisions


@pytest.fixture
def checking_threads(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The kinds of threads (`guest`, or `MainThread` for the event loop) in which outputs were checked."""
    threads = set()
    check = json_documents.check

    def recording_check(output: bytes, *, lone_surrogates: bool) -> None:
        threads.add(threading.current_thread().name.partition("_")[0])
        check(output, lone_surrogates=lone_surrogates)

    monkeypatch.setattr(json_documents, "check", recording_check)
    return threads


def test_inline_policy_runs_inline_after_a_few_quick_executions() -> None:
    assert record(new_policy(), QUICK_SECONDS, QUICK_SECONDS, QUICK_SECONDS) == [False, False, True]
    assert record(new_policy(initial_streak=1), QUICK_SECONDS) == [True]
    assert not any(record(new_policy(allowed=False), *[QUICK_SECONDS] * 100))


def test_inline_policy_page_faults_and_pauses_of_the_host_change_nothing() -> None:
    """The outliers that were seen: 0.53 to 0.81 ms, on a host that stops for a moment 20 ms, several in a row."""
    policy = quick_policy()
    for outliers in ([0.00053], [0.00081], [0.02], [0.0008, 0.0006], [0.0007, 0.02, 0.0006]):
        assert all(record(policy, *outliers, *[QUICK_SECONDS] * 40)), outliers


def test_inline_policy_one_slow_execution_in_twenty_changes_nothing() -> None:
    policy = quick_policy()
    assert all(record(policy, *([0.002] + [QUICK_SECONDS] * 19) * 50))


def test_inline_policy_a_module_that_becomes_slow_leaves_the_event_loop_at_once() -> None:
    assert record(quick_policy(), *[0.002] * 5) == [True, True, True, False, False]


def test_inline_policy_a_module_that_is_slow_half_of_the_time_runs_in_threads() -> None:
    decisions = record(quick_policy(), *[0.002, QUICK_SECONDS] * 200)
    assert not any(decisions[20:])


def test_inline_policy_recovers_from_a_slow_phase_with_three_executions() -> None:
    policy = quick_policy()
    for _ in range(20):
        assert not record(policy, *[0.002] * 50)[-1]
        assert record(policy, *[QUICK_SECONDS] * 3) == [False, False, True]


def test_inline_policy_tries_again_after_a_false_start_only(clock: Clock) -> None:
    policy = quick_policy()
    assert policy.record_interrupted(0.0001) == TryInlineAgain()
    assert policy.runs_inline
    assert policy.record_interrupted(0.009) == RunInThread()
    assert not policy.runs_inline


@pytest.mark.parametrize("again", [InlinePolicy.record_large_output, InlinePolicy.record_wait])
def test_inline_policy_what_must_be_executed_again_ends_inline_execution(
    clock: Clock, again: Callable[[InlinePolicy], RunInThread]
) -> None:
    policy = quick_policy()
    assert again(policy) == RunInThread()
    assert not any(record(policy, *[QUICK_SECONDS] * 100))
    clock.now += 0.05
    assert record(policy, QUICK_SECONDS) == [True]


def test_inline_policy_attempts_that_fail_hold_up_the_event_loop_for_a_tick_a_second(clock: Clock) -> None:
    """A module, each hundredth call of which is endless, called 1,000 times a second for a minute."""
    policy, failed_at = quick_policy(), []
    for number in range(60_000):
        clock.now += 0.001
        if number % 100 or not policy.runs_inline:
            policy.record_duration(QUICK_SECONDS if number % 100 else SLOW_SECONDS)
        else:
            policy.record_interrupted(0.01)
            failed_at.append(clock.now)
    assert 30 < len(failed_at) < 700


def test_inline_policy_attempts_that_fail_all_the_time_become_rare(clock: Clock) -> None:
    policy, failed = quick_policy(), 0
    for _ in range(60_000):
        clock.now += 0.001
        if policy.runs_inline:
            policy.record_large_output()
            failed += 1
        else:
            policy.record_duration(QUICK_SECONDS)
    assert 60 < failed < 90, "one in 0.8 s"


def test_inline_policy_recovers_within_a_second_of_a_failed_attempt(clock: Clock) -> None:
    policy = quick_policy()
    for _ in range(10):
        policy.record_interrupted(0.01)
    clock.now += 0.8
    assert record(policy, *[QUICK_SECONDS] * 3)[-1]


async def test_inline_policy_bound_follows_the_cost_of_a_hand_off() -> None:
    hand_off = HandOff()
    was_old = hand_off.is_old
    cost = await hand_off.measure()
    assert (was_old, hand_off.is_old) == (True, False)
    assert 1e-6 < cost < 0.01
    assert hand_off.quick_seconds == min(max(16 * cost, 0.0005), 0.005)
    hand_off.quick_seconds = 0.004  # a slow host
    policy = InlinePolicy(hand_off, "module")
    assert record(policy, *[0.003] * 3)[-1]


async def test_inline_policy_a_busy_event_loop_is_no_cost_of_a_hand_off() -> None:
    hand_off = HandOff()
    measuring = asyncio.create_task(hand_off.measure())
    while not measuring.done():  # as when it serves others
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
        await asyncio.sleep(0)
    assert await measuring < 0.01


def test_inline_policy_says_in_the_log_what_it_decided() -> None:
    with structlog.testing.capture_logs() as logs:
        record(new_policy(), *[QUICK_SECONDS] * 3, *[SLOW_SECONDS] * 3)
    assert [(entry["event"], entry["module"], entry["runs_inline"], entry["log_level"]) for entry in logs] == [
        ("inline_policy.changed", "module", True, "debug"),
        ("inline_policy.changed", "module", False, "debug"),
    ]


def followed(*policies: InlinePolicy) -> InlinePolicy:
    """Let one function run the modules of `policies` one after another. Returns the last one."""
    by_function, function_id = PoliciesByFunction(), uuid4()
    for policy in policies:
        by_function.follow(function_id, policy)
    return policies[-1]


def quick_policy() -> InlinePolicy:
    policy = new_policy()
    record(policy, *[QUICK_SECONDS] * 40)
    return policy


def test_inline_policy_of_a_new_revision_continues_from_the_one_before() -> None:
    revision = followed(quick_policy(), new_policy())
    assert revision.runs_inline
    revision.record_duration(0.001)  # a first execution, which touches new memory, is forgiven
    assert revision.runs_inline


def test_inline_policy_of_a_slow_new_revision_ends_inline_execution() -> None:
    slow = followed(quick_policy(), new_policy())
    record(slow, *[SLOW_SECONDS] * 5)
    assert not slow.runs_inline
    assert not followed(slow, new_policy()).runs_inline


def test_inline_policy_of_a_revision_that_ran_before_keeps_its_record() -> None:
    slow = new_policy()
    slow.record_duration(SLOW_SECONDS)
    assert not followed(quick_policy(), slow).runs_inline  # a rollback to it
    assert not followed(quick_policy(), new_policy(allowed=False)).runs_inline


def test_inline_policy_of_another_function_does_not_count() -> None:
    by_function, policy = PoliciesByFunction(max_functions=1), new_policy()
    by_function.follow(uuid4(), quick_policy())
    by_function.follow(uuid4(), policy)
    assert not policy.runs_inline


def test_inline_policy_forgets_the_functions_beyond_its_limit() -> None:
    by_function, first, policy = PoliciesByFunction(max_functions=2), uuid4(), new_policy()
    for function_id in (first, uuid4(), uuid4()):
        by_function.follow(function_id, quick_policy())
    by_function.follow(first, policy)
    assert not policy.runs_inline


async def test_inline_policy_runs_a_new_revision_of_a_quick_function_on_the_event_loop(
    checking_threads: set[str],
) -> None:
    function_id = uuid4()

    async def run(revision: bytes) -> None:
        async def load() -> bytes:
            return revision

        digest = hashlib.sha256(revision).digest()
        assert (await runtime.run(digest, load, b"{}", function_id=function_id)).output == b"{}"

    async with small_runtime() as runtime:
        for _ in range(32):
            await run(wat(core_wat()))
        checking_threads.clear()
        await run(wat(core_wat(memory="2")))
        assert checking_threads == {"MainThread"}


async def test_inline_policy_runs_a_quick_module_on_the_event_loop(checking_threads: set[str]) -> None:
    async with small_runtime() as runtime:
        for _ in range(20):
            assert (await run_module(runtime, core_wat(), b"{}")).output == b"{}"
        assert checking_threads == {"guest", "MainThread"}


async def test_inline_policy_checks_a_large_output_in_a_thread(checking_threads: set[str]) -> None:
    large = core_wat(
        "(memory.fill (i32.const 65536) (i32.const 49) (i32.const 70000))"
        "(i64.or (i64.shl (i64.const 65536) (i64.const 32)) (i64.const 70000))",
        memory="4 16",
    )
    async with small_runtime() as runtime:
        for _ in range(20):
            output = (await run_module(runtime, large)).output
            assert output
            assert len(output) == 70000
        assert checking_threads == {"guest"}


async def test_inline_policy_small_stack_keeps_guests_in_threads(
    monkeypatch: pytest.MonkeyPatch, checking_threads: set[str]
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 20, 1 << 20))
    assert not main_thread_stack_fits(2 << 20)
    async with small_runtime() as runtime:
        for _ in range(20):
            assert (await run_module(runtime, core_wat(), b"{}")).output == b"{}"
        assert checking_threads == {"guest"}

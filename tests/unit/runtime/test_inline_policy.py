"""The inline policy: quick modules run on the event loop, and slow ones, or large outputs, in guest threads."""

import resource
import threading

import pytest

from faas import json_documents
from faas.runtime.inline_policy import InlinePolicy, RunInThread, TryInlineAgain, main_thread_stack_fits
from tests.helpers.guests import run_module, small_runtime
from tests.helpers.support import core_wat

QUICK_SECONDS, SLOW_SECONDS = 0.0, 0.2


def quick_executions_until_inline(policy: InlinePolicy) -> int:
    quick = 0
    while not policy.runs_inline:
        policy.record_duration(QUICK_SECONDS)
        quick += 1
    return quick


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


def test_inline_policy_initial_streak_is_how_many_quick_executions_come_first() -> None:
    policy = InlinePolicy(initial_streak=1)
    decisions = [policy.runs_inline]
    for seconds in (0.0001, 0.1, 0.0001, 0.0001):
        policy.record_duration(seconds)
        decisions.append(policy.runs_inline)
    assert decisions == [False, True, False, False, True]


def test_inline_policy_slow_executions_double_the_streak_it_needs() -> None:
    policy = InlinePolicy()
    needed = []
    for _ in range(5):
        needed.append(quick_executions_until_inline(policy))
        policy.record_duration(SLOW_SECONDS)
    assert needed == [3, 6, 12, 24, 48]


def test_inline_policy_forgives_a_short_delay_after_many_quick_executions() -> None:
    policy = InlinePolicy()
    for _ in range(96):
        policy.record_duration(QUICK_SECONDS)
    policy.record_duration(0.001)
    assert policy.runs_inline
    for _ in range(96):
        policy.record_duration(QUICK_SECONDS)
    policy.record_duration(0.1)
    assert not policy.runs_inline


def test_inline_policy_tries_again_after_a_false_start_only() -> None:
    policy = InlinePolicy()
    quick_executions_until_inline(policy)
    assert policy.record_interrupted(0.0001) == TryInlineAgain()
    assert policy.runs_inline
    assert policy.record_interrupted(0.009) == RunInThread()
    assert not policy.runs_inline


def test_inline_policy_large_output_ends_inline_execution() -> None:
    policy = InlinePolicy()
    for _ in range(96):
        policy.record_duration(QUICK_SECONDS)
    assert policy.record_large_output() == RunInThread()
    assert not policy.runs_inline


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

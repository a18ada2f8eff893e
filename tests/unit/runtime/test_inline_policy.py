"""The inline policy: quick modules run on the event loop, and slow ones, or large outputs, in guest threads."""

import hashlib
import resource
import threading
from uuid import uuid4

import pytest

from faas import json_documents
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


def followed(*policies: InlinePolicy) -> InlinePolicy:
    """Let one function run the modules of `policies` one after another. Returns the last one."""
    by_function, function_id = PoliciesByFunction(), uuid4()
    for policy in policies:
        by_function.follow(function_id, policy)
    return policies[-1]


def quick_policy() -> InlinePolicy:
    policy = InlinePolicy()
    for _ in range(32):
        policy.record_duration(QUICK_SECONDS)
    return policy


def test_inline_policy_of_a_new_revision_continues_from_the_one_before() -> None:
    revision = followed(quick_policy(), InlinePolicy())
    assert revision.runs_inline
    revision.record_duration(0.001)  # a first execution, which touches new memory, is forgiven
    assert revision.runs_inline


def test_inline_policy_of_a_slow_new_revision_ends_inline_execution() -> None:
    slow = followed(quick_policy(), InlinePolicy())
    slow.record_duration(SLOW_SECONDS)
    assert not slow.runs_inline
    assert not followed(slow, InlinePolicy()).runs_inline


def test_inline_policy_of_a_revision_that_ran_before_keeps_its_record() -> None:
    slow = InlinePolicy()
    slow.record_duration(SLOW_SECONDS)
    assert not followed(quick_policy(), slow).runs_inline  # a rollback to it
    assert not followed(quick_policy(), InlinePolicy(allowed=False)).runs_inline


def test_inline_policy_of_another_function_does_not_count() -> None:
    by_function, policy = PoliciesByFunction(max_functions=1), InlinePolicy()
    by_function.follow(uuid4(), quick_policy())
    by_function.follow(uuid4(), policy)
    assert not policy.runs_inline


def test_inline_policy_forgets_the_functions_beyond_its_limit() -> None:
    by_function, first, policy = PoliciesByFunction(max_functions=2), uuid4(), InlinePolicy()
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

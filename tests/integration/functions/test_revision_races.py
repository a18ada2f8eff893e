"""Deploys, results, promotions, rollbacks and deletions in any order: the invariants of revisions hold after each.

The first tests run one step after the other and compare the rows with a model; those at the end run steps at once, on
connections of their own, and check the invariants and the recorded history. All steps of one function lock its row, so
an interleaving is an order of steps; what a step reads before its lock is covered by the tests at the end.
"""

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from typing import Literal
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from faas.caller import ANYONE
from faas.database.pool import Pool
from faas.engines import EngineCatalogue, EngineStore
from faas.errors import FunctionNotFound, RevisionConflict, RevisionNotFound
from faas.function_ref import FunctionRef
from faas.function_settings import FunctionLimits, FunctionSettings
from faas.functions.compile_results import CompileResultHandler
from faas.functions.model import FunctionDraft
from faas.functions.revisions import RevisionService
from faas.functions.service import FunctionRules, FunctionService
from faas.queue import messages, pgmq
from faas.runtime import Runtime
from tests.helpers.revisions import assert_history, assert_revision_invariants, record_history
from tests.helpers.support import returning_wat, wat

KEEP = 4
RULES = FunctionRules(languages=["wat", "assemblyscript"], max_time=10, max_memory=128 << 20, keep_revisions=KEEP)
MODULES = [wat(returning_wat(str(number))) for number in range(3)]
SETTINGS = [FunctionSettings(), FunctionSettings(limits=FunctionLimits(concurrency=3))]


class Put(msgspec.Struct, frozen=True):
    """A deploy."""

    source: int
    settings: int
    promote: bool


class Result(msgspec.Struct, frozen=True):
    """A result for the revision `number`, or without a revision; `module` None is a failure. Some are delivered twice."""

    number: int | None
    module: int | None
    twice: bool


class Begin(msgspec.Struct, frozen=True):
    """A `started` message."""

    number: int | None


class Promote(msgspec.Struct, frozen=True):
    """A promotion by a client."""

    number: int


class RollBack(msgspec.Struct, frozen=True):
    """A rollback by a client."""


class Run(msgspec.Struct, frozen=True):
    """An execution that starts with the revision `number`, and stays in flight."""

    number: int


class Delete(msgspec.Struct, frozen=True):
    """The deletion of the function, after which its name is created again."""


Step = Put | Result | Begin | Promote | RollBack | Run | Delete

numbers = st.integers(1, 9)
puts = st.builds(Put, st.integers(0, 2), st.integers(0, 1), st.sampled_from([True, True, False]))
results = st.builds(
    Result, st.one_of(numbers, numbers, numbers, st.none()), st.sampled_from([0, 1, 2, None]), st.booleans()
)
steps = st.one_of(
    puts,
    results,
    results,
    st.builds(Begin, st.one_of(numbers, st.none())),
    st.builds(Promote, numbers),
    st.builds(RollBack),
    st.builds(Run, numbers),
    st.sampled_from([*[RollBack()] * 3, Delete()]),
)


class Model:
    """What the contract says of one function, in a few lines: the revisions by number, and the history."""

    def __init__(self) -> None:
        self.revisions: dict[int, ModelRevision] = {}
        self.live: int | None = None
        self.newest = 0
        self.previous: list[int] = []
        self.in_flight: set[int] = set()

    def put(self, step: Put, keep: int = KEEP) -> None:
        content = (step.source, step.settings)
        newest = self.revisions.get(self.newest)
        if newest and newest.content == content and (self.live == self.newest or newest.is_promoted_with(step)):
            return
        ready = any(
            revision.status == "READY" and revision.content[0] == step.source
            for revision in (newest, self.revisions.get(self.live or 0))
            if revision
        )
        self.newest += 1
        self.revisions[self.newest] = ModelRevision(content, step.promote, "READY" if ready else "PENDING")
        if ready:
            self._is_ready(self.newest)
        self._prune(keep)

    def result(self, step: Result) -> None:
        number = step.number
        if number is None:
            if self.newest > 1:  # the compiler must echo `revision`
                waiting = [number for number, revision in self.revisions.items() if revision.waits]
                if waiting:
                    self.revisions[max(waiting)].status = "FAILED"
                return
            number = 1
        revision = self.revisions.get(number)
        if revision and revision.waits:
            revision.status = "FAILED" if step.module is None else "READY"
            if step.module is not None:
                self._is_ready(number)

    def begin(self, step: Begin) -> None:
        number = step.number or (1 if self.newest == 1 else 0)
        revision = self.revisions.get(number)
        if revision and revision.status == "PENDING":
            revision.status = "COMPILING"

    def promote(self, number: int) -> str:
        if number not in self.revisions:
            return "missing"
        if self.revisions[number].status != "READY":
            return "conflict"
        self._cancel_promotions()
        self._make_live(number)
        return "done"

    def roll_back(self) -> str:
        kept = [n for n in self.previous if n in self.revisions and n != self.live]
        if not kept:
            return "conflict"
        self._cancel_promotions()
        position = len(self.previous) - 1 - self.previous[::-1].index(kept[-1])
        self.live, self.previous = kept[-1], self.previous[:position]
        return "done"

    def _is_ready(self, number: int) -> None:
        promote = self.revisions[number].promote
        if self.live is None or (promote and (number > self.live or not self.revisions[self.live].promote)):
            self._make_live(number)

    def _make_live(self, number: int) -> None:
        if number != self.live:
            self.previous += [] if self.live is None else [self.live]
            self.live = number

    def _cancel_promotions(self) -> None:
        for revision in self.revisions.values():
            if revision.waits:
                revision.promote = False

    def _prune(self, keep: int) -> None:
        kept = {self.live, self.newest, *self.in_flight}
        removable = [n for n, r in self.revisions.items() if n not in kept and not r.waits]
        removable.sort(key=lambda n: (self.revisions[n].status != "FAILED", n in self.previous, n))
        for number in removable[: max(0, len(self.revisions) - keep)]:
            del self.revisions[number]


class ModelRevision:
    """One revision of the model."""

    def __init__(self, content: tuple[int, int], promote: bool, status: Literal["PENDING", "READY"]) -> None:
        self.content = content
        self.promote = promote
        self.status: str = status

    @property
    def waits(self) -> bool:
        return self.status in {"PENDING", "COMPILING"}

    def is_promoted_with(self, step: Put) -> bool:
        return self.waits and self.promote and step.promote


class Subject:
    """A function in the database, changed through the services as the routes and the consumer change it."""

    def __init__(self, pool: Pool, runtime: Runtime) -> None:
        self.pool = pool
        self.functions = FunctionService(pool, RULES)
        self.revisions = RevisionService(pool)
        self.handler = CompileResultHandler(pool, runtime, EngineStore(pool, EngineCatalogue()))
        self.name = f"f{uuid4().hex}"
        self.ref = FunctionRef.by_name(self.name)
        self.id: UUID | None = None

    async def put(self, step: Put) -> None:
        draft = FunctionDraft(
            name=self.name,
            language="wat",
            source=f"source {step.source}",
            settings=SETTINGS[step.settings],
            promote=step.promote,
        )
        if self.id is None:
            self.id = (await self.functions.create(ANYONE, draft)).id
        else:
            await self.functions.update(ANYONE, self.ref, draft)

    async def result(self, step: Result) -> None:
        module = None if step.module is None else base64.b64encode(MODULES[step.module]).decode()
        error = "no" if module is None else None
        message = messages.CompilationResult(
            function_id=self.id or uuid4(), revision=step.number, success=not error, wasm_binary=module, error=error
        )
        await self.deliver(message, twice=step.twice)

    async def begin(self, step: Begin) -> None:
        await self.deliver(messages.CompilationStarted(function_id=self.id or uuid4(), revision=step.number))

    async def deliver(
        self, message: messages.CompilationResult | messages.CompilationStarted, *, twice: bool = False
    ) -> None:
        """Send a message and handle it, as the consumer of any process does; twice after a visibility timeout."""
        async with self.pool.acquire() as connection:
            await pgmq.send(connection, messages.COMPILATION_RESULTS, messages.encode(message))
            # As many are read as are sent, but a message may be locked by another delivery for a moment.
            while not (
                delivered := await pgmq.read(connection, messages.COMPILATION_RESULTS, limit=1, visibility_timeout=60)
            ):
                await asyncio.sleep(0.001)
        for _ in range(2 if twice else 1):
            for each in delivered:
                await self.handler.handle(each)

    async def run(self, step: Run) -> None:
        await self.pool.execute(
            "INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at) "
            "VALUES (gen_random_uuid(), $1, $2, gen_random_uuid(), '{}', now(), now())",
            self.id,
            step.number,
        )

    async def decide(self, step: Promote | RollBack) -> str:
        try:
            if isinstance(step, Promote):
                await self.revisions.promote(ANYONE, self.ref, step.number)
            else:
                await self.revisions.roll_back(ANYONE, self.ref)
        except RevisionNotFound:
            return "missing"
        except RevisionConflict:
            return "conflict"
        return "done"

    async def rows(self) -> "Rows":
        """Return what the model describes."""
        function = await self.pool.fetchrow(
            "SELECT live_revision, newest_revision, previous_revisions FROM functions WHERE id = $1", self.id
        )
        found = await self.pool.fetch(
            "SELECT number, status, promote FROM revisions WHERE function_id = $1 ORDER BY number", self.id
        )
        assert function
        live, newest, previous = function
        return Rows(live, newest, previous, [(row["number"], row["status"], row["promote"]) for row in found])


class Rows(msgspec.Struct, frozen=True):
    """What the model describes: of each revision the number, the status, and whether it is to be promoted."""

    live: int | None
    newest: int
    previous: list[int]
    revisions: list[tuple[int, str, bool]]


def described(model: Model) -> Rows:
    revisions = [(number, each.status, each.promote) for number, each in sorted(model.revisions.items())]
    return Rows(model.live, model.newest, model.previous, revisions)


@pytest.fixture
async def recorded_pool(pool: Pool) -> AsyncIterator[Pool]:
    await record_history(pool)
    yield pool
    await assert_revision_invariants(pool)
    await assert_history(pool)


@given(first=puts, following=st.lists(steps, min_size=1, max_size=25))
@hypothesis_settings(max_examples=60)
async def test_revisions_follow_the_contract_in_any_order_of_steps(
    recorded_pool: Pool, runtime: Runtime, first: Put, following: list[Step]
) -> None:
    subject, model = Subject(recorded_pool, runtime), Model()
    await subject.put(msgspec.structs.replace(first, promote=True))  # POST has no `promote`
    model.put(msgspec.structs.replace(first, promote=True))
    for step in following:
        match step:
            case Put():
                jobs = await waiting_jobs(subject)
                before = model.newest
                await subject.put(step)
                model.put(step)
                compiled = model.newest > before and model.revisions[model.newest].waits
                assert await waiting_jobs(subject) - jobs == int(compiled)
            case Result():
                await subject.result(step)
                model.result(step)
            case Begin():
                await subject.begin(step)
                model.begin(step)
            case Promote():
                assert await subject.decide(step) == model.promote(step.number)
            case RollBack():
                assert await subject.decide(step) == model.roll_back()
            case Run():
                if step.number in model.revisions:
                    await subject.run(step)
                    model.in_flight.add(step.number)
            case Delete():
                await subject.functions.delete(ANYONE, subject.ref)
                with pytest.raises(FunctionNotFound):
                    await subject.functions.get(ANYONE, subject.ref)
                await subject.result(Result(1, 0, twice=False))  # late, for a function that is gone
                subject.id, model = None, Model()
                await subject.put(first)
                model.put(first)
        assert await subject.rows() == described(model), step
        await assert_revision_invariants(recorded_pool)
    event(f"kept {len(model.revisions)}, history {min(len(model.previous), 5)}")


async def waiting_jobs(subject: Subject) -> int:
    return int(
        await subject.pool.fetchval(
            "SELECT count(*) FROM pgmq.q_compilation_jobs WHERE message ->> 'functionId' = $1", str(subject.id)
        )
    )


@given(
    promoted=st.lists(st.sampled_from([True, True, False]), min_size=1, max_size=5),
    failures=st.sets(st.integers(1, 6)),
    seed=st.integers(0, 1 << 32),
)
@hypothesis_settings(max_examples=40)
async def test_newest_ready_revision_to_promote_wins_in_any_order_of_results(
    recorded_pool: Pool, runtime: Runtime, promoted: list[bool], failures: set[int], seed: int
) -> None:
    """Several deploys at once, whose results come at once, in any order, some of them twice."""
    subject, choose = Subject(recorded_pool, runtime), random.Random(seed)
    subject.functions = FunctionService(recorded_pool, msgspec.structs.replace(RULES, keep_revisions=20))
    await subject.put(Put(0, 0, promote=True))
    drafts = [
        FunctionDraft(name=subject.name, language="wat", source=f"other {position}", promote=promote)
        for position, promote in enumerate(promoted)
    ]
    await asyncio.gather(*(subject.functions.update(ANYONE, subject.ref, draft) for draft in drafts))
    rows = await recorded_pool.fetch("SELECT number, promote FROM revisions WHERE function_id = $1", subject.id)
    assert sorted(row["number"] for row in rows) == list(range(1, len(promoted) + 2))
    deliveries = [
        Result(row["number"], None if row["number"] in failures else choose.randrange(3), twice=choose.random() < 0.3)
        for row in rows
    ]
    deliveries += choose.sample(deliveries, k=len(deliveries) // 2)
    choose.shuffle(deliveries)
    await asyncio.gather(*(subject.result(each) for each in deliveries))
    found = await subject.rows()
    ready = {number for number, status, _ in found.revisions if status == "READY"}
    assert {number for number, status, _ in found.revisions if status == "FAILED"} == failures & set(
        range(1, len(rows) + 1)
    )
    assert found.newest == len(rows)
    to_promote = [row["number"] for row in rows if row["promote"] and row["number"] in ready]
    if to_promote:
        assert found.live == max(to_promote)
    else:  # the first one that was READY
        assert (found.live in ready) if ready else (found.live is None)


@given(rounds=st.lists(st.lists(steps, min_size=2, max_size=8), min_size=1, max_size=3), first=puts)
@hypothesis_settings(max_examples=40)
async def test_revision_invariants_hold_when_steps_run_at_once(
    recorded_pool: Pool, runtime: Runtime, rounds: list[list[Step]], first: Put
) -> None:
    subject = Subject(recorded_pool, runtime)
    await subject.put(first)
    for concurrent in rounds:
        outcomes = await asyncio.gather(*(take(subject, step) for step in concurrent), return_exceptions=True)
        unexpected = [each for each in outcomes if isinstance(each, BaseException)]
        assert all(isinstance(each, FunctionNotFound) for each in unexpected), unexpected
        if any(isinstance(step, Delete) for step in concurrent):
            subject.id = None
            await subject.put(first)
        await assert_revision_invariants(recorded_pool)
    assert await recorded_pool.fetchval("SELECT count(*) FROM pgmq.q_compilation_results") == 0


async def take(subject: Subject, step: Step) -> None:
    match step:
        case Put():
            await subject.put(step)
        case Result():
            await subject.result(step)
        case Begin():
            await subject.begin(step)
        case Promote() | RollBack():
            await subject.decide(step)
        case Run():
            await subject.run(step)
        case Delete():
            await subject.functions.delete(ANYONE, subject.ref)

"""Speed with many recorded executions compared with few: two data directories, one of them filled.

Each round vacuums and checkpoints both servers, which also plans their statements again, and warms them up. A round in
which guests ran in threads on one server alone would compare threads, which take up to 2.5 times as long.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import msgspec

from bench import servers, steady
from bench.client import BODY, client_of
from bench.database import BEFORE_A_ROUND, WITHOUT_AUTOVACUUM, psql
from bench.load import Load, press, require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_most, figure

_FEW, _MANY = 10_000, 2_000_000  # executions
_FUNCTIONS, _REVISIONS, _JOBS = 10_000, 20, 10_000
_OTHERS = 49  # functions beside the two that are measured
_READS = 200  # executions that are read, and requests of one measurement
_TARGET = at_most(1.3)
EXECUTE = "execute"
_THREADED_MICROSECONDS = 10  # of a guest thread's processor time for each request: an inline guest takes none

# The worst case for listing: the oldest quarter belongs to `old1`, which has no later executions; of the others every
# second belongs to `add`, which is still executed and whose 50 FAILED ones are its oldest.
_EXECUTIONS = """
INSERT INTO executions
    (id, function_id, revision, process_id, status, input, output, error_message, created_at, started_at, completed_at)
SELECT uuidv7(ago), owner, 1, owner, CASE WHEN failed THEN 'FAILED' ELSE 'COMPLETED' END, '{{"a":1,"b":2}}',
       CASE WHEN NOT failed THEN '{{"sum":3}}'::json END, CASE WHEN failed THEN 'time limit of 10s exceeded' END,
       now() + ago, now() + ago, now() + ago
FROM (
    SELECT (number - {count} - 1) * interval '1 second' AS ago,
           number % 2 = 0 AND number BETWEEN {count} / 4 + 1 AND {count} / 4 + 100 AS failed,
           CASE WHEN number <= {count} / 4 THEN old.id
                WHEN number % 2 = 0 THEN measured.id
                ELSE others.ids[1 + number / 2 % cardinality(others.ids)] END AS owner
    FROM generate_series(1, {count}) AS number,
         (SELECT id FROM functions WHERE name = 'add') AS measured,
         (SELECT id FROM functions WHERE name = 'old1') AS old,
         (SELECT array_agg(id) AS ids FROM functions WHERE name LIKE 'other%') AS others
) AS generated;
VACUUM ANALYZE executions;
CHECKPOINT;
"""

_SAMPLE = """
SELECT id FROM (
    SELECT id FROM executions WHERE function_id = (SELECT id FROM functions WHERE name = 'add')
    ORDER BY random() LIMIT {count}
) AS sample ORDER BY id;
"""

# Functions with copies of the revision of a small one, by name. The last revision is live.
COPIES = """
WITH copies AS (
    INSERT INTO functions (id, name, newest_revision, live_revision)
    SELECT uuidv7(), '{prefix}' || number, {revisions}, {revisions} FROM generate_series(1, {count}) AS number
    RETURNING id
)
INSERT INTO revisions (function_id, number, language, source, settings, status, module_digest, contract)
SELECT copies.id, copy, language, source, settings, status, module_digest, contract
FROM copies, generate_series(1, {revisions}) AS copy,
     (SELECT revisions.* FROM revisions JOIN functions ON function_id = id WHERE name = 'small') AS model;
ANALYZE functions, revisions;
"""

_QUEUED = """
SELECT count(*) FROM (
    SELECT pgmq.send('compilation_jobs', jsonb_build_object(
        'functionId', id, 'revision', number, 'language', language, 'source', source))
    FROM functions JOIN revisions ON function_id = id AND number = newest_revision
    WHERE name LIKE 'copy%' LIMIT {count}
) AS sent;
ANALYZE pgmq.q_compilation_jobs;
CHECKPOINT;
"""


class _Arm(msgspec.Struct, frozen=True):
    """One side of the comparison: a data directory, and the ids of executions that are read."""

    data_dir: Path
    sample: Sequence[str]

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """Run a server whose role is api, so that it consumes no compilation jobs."""
        with servers.faas(self.data_dir, "--role", "api") as server:
            yield server

    def reads(self) -> dict[str, list[str]]:
        """Return the paths of each kind of read, by its name."""
        history = "/functions/add/executions"
        middle = self.sample[len(self.sample) // 2]
        return {
            "list": [history],
            "list from the middle": [f"{history}?cursor={middle}"],
            "list FAILED": [f"{history}?status=FAILED"],
            "list what ran long ago": ["/functions/old1/executions"],
            "get": [f"/executions/{identity}" for identity in self.sample],
        }


class Timed(msgspec.Struct, frozen=True):
    """A median latency in milliseconds, and whether guests ran in threads instead of inline."""

    milliseconds: float
    threaded: bool = False


Measure: TypeAlias = Callable[[], Timed]


class Rounds(msgspec.Struct, frozen=True):
    """The median latencies of all rounds by arm and call. `mixed` counts those in which guests ran inline on one server
    and in threads on the other."""

    milliseconds: Mapping[str, Sequence[float]]
    mixed: int

    def figure(self, call: str, named: str, against: str) -> Figure:
        """Return the figure of one call."""
        noisy = call == EXECUTE and self.mixed > 0
        ours, theirs = self.milliseconds[f"large {call}"], self.milliseconds[f"small {call}"]
        return figure(f"{call} {named}", "ms", _TARGET, ours, (against, theirs), noisy=noisy)


def measure(plan: Plan) -> list[Figure]:
    """Measure both in turns: with many executions, then also with many functions and queued jobs."""
    require_wrk()
    few, many = plan.count(_FEW), plan.count(_MANY)
    plan.progress(f"{few:,} executions beside {many:,}")
    small, large = _filled(plan, "small", few), _filled(plan, "large", many)
    calls = [EXECUTE, *small.reads()]
    with small.serving() as one, large.serving() as other:
        arms = {"small": (small, one), "large": (large, other)}
        rounds = measure_rounds(plan, calls, lambda: _warm_servers(arms, calls))
        functions, jobs = plan.count(_FUNCTIONS), plan.count(_JOBS)
        plan.progress(f"{functions:,} functions with {_REVISIONS} revisions each and {jobs:,} jobs more")
        psql(other, COPIES.format(prefix="copy", count=functions, revisions=_REVISIONS) + _QUEUED.format(count=jobs))
        more_rounds = measure_rounds(plan, [EXECUTE], lambda: _warm_servers(arms, [EXECUTE]))
    named = f"with {functions:,} functions of {_REVISIONS} revisions, {jobs:,} jobs too"
    return [
        *(rounds.figure(call, f"with {many:,} executions", f"with {few:,}") for call in calls),
        more_rounds.figure(EXECUTE, named, f"with {_OTHERS + 3} and none"),
    ]


def _filled(plan: Plan, name: str, executions: int) -> _Arm:
    """Create a data directory with `executions` recorded executions."""
    data_dir = plan.data_dir(f"growth-{name}")
    with servers.faas(data_dir) as server, client_of(server) as client:
        client.deploy("add", "add.as.ts")
        client.deploy("small", "loop.wat")
    with servers.faas(data_dir, "--role", "api") as server:
        psql(
            server,
            WITHOUT_AUTOVACUUM
            + COPIES.format(prefix="old", count=1, revisions=1)
            + COPIES.format(prefix="other", count=_OTHERS, revisions=1)
            + _EXECUTIONS.format(count=executions),
        )
        return _Arm(data_dir, psql(server, _SAMPLE.format(count=_READS)).split())


def measure_rounds(
    plan: Plan, calls: Sequence[str], warm_servers: Callable[[], AbstractContextManager[Mapping[str, Measure]]]
) -> Rounds:
    """Measure the calls in rounds, each with the measures of `warm_servers`, `small CALL` and `large CALL`.

    A round is repeated if guests ran inline on one server and in threads on the other, at most as often as there are
    rounds.
    """
    results: dict[str, list[float]] = {f"{arm} {call}": [] for call in calls for arm in ("small", "large")}
    repetitions = mixed = 0
    number = 0
    while number < plan.rounds:
        with warm_servers() as measures:
            # The order is reversed after each round.
            names = list(measures)[:: -1 if number % 2 else 1]
            found = {name: measures[name]() for name in names}
        if found[f"small {EXECUTE}"].threaded != found[f"large {EXECUTE}"].threaded:
            if repetitions < plan.rounds:
                repetitions += 1
                plan.progress("a round is repeated: guests ran in threads on one server, inline on the other")
                continue
            mixed += 1
        for name, timed in found.items():
            results[name].append(timed.milliseconds)
        number += 1
    return Rounds(results, mixed)


@contextmanager
def _warm_servers(arms: Mapping[str, tuple[_Arm, Server]], calls: Sequence[str]) -> Iterator[Mapping[str, Measure]]:
    """Prepare both servers for a round; yield the measures of the calls, those to be compared next to each other."""
    for _, server in arms.values():
        psql(server, BEFORE_A_ROUND)
    for arm, server in arms.values():
        _executions(server)
        if paths := [path for call in calls for path in arm.reads().get(call, ())]:
            _reads(server, paths)
    yield {
        f"{name} {call}": partial(_executions, server)
        if call == EXECUTE
        else partial(_reads, server, arm.reads()[call])
        for call in calls
        for name, (arm, server) in arms.items()
    }


def _executions(server: Server) -> Timed:
    """Measure 16 concurrent executions for a second."""
    load, threaded = press_executions(server, connections=16, seconds=1)
    return Timed(load.median, threaded)


def press_executions(server: Server, *, connections: int, seconds: float) -> tuple[Load, bool]:
    """Execute `add` for `seconds`; return the load, and whether guests ran in threads instead of inline."""
    before = server.guest_thread_seconds
    load = press(server.url, ["/functions/add/execute"], connections=connections, seconds=seconds, body=BODY)
    microseconds = (server.guest_thread_seconds - before) / load.requests * 1e6
    return load, microseconds > _THREADED_MICROSECONDS


def _reads(server: Server, paths: Sequence[str]) -> Timed:
    """Measure requests one after another."""
    return Timed(steady.get(server.url, paths, count=_READS).median)

"""Speed with many recorded executions compared with few: two servers at once, one of them filled."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from bench import servers
from bench.client import BODY, client_of
from bench.database import psql
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_most, figure, in_turns

_FEW, _MANY = 10_000, 2_000_000  # executions
_FUNCTIONS, _JOBS = 10_000, 10_000
_OTHERS = 49  # functions beside the two that are measured
_READS = 200  # paths that one measurement requests in turn
_TARGET = at_most(1.3)

# The worst case for listing: the oldest quarter belongs to `old1`, which has no later executions; of the others every
# second belongs to `add`, which is still executed and whose 50 FAILED ones are its oldest.
_EXECUTIONS = """
SET session_replication_role = replica;
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
SET session_replication_role = origin;
VACUUM ANALYZE executions;
CHECKPOINT;
"""

_SAMPLE = """
SELECT id FROM (
    SELECT id FROM executions WHERE function_id = (SELECT id FROM functions WHERE name = 'add')
    ORDER BY random() LIMIT {count}
) AS sample ORDER BY id;
"""

# READY copies of a small module, by name.
_COPIES = """
INSERT INTO functions (id, name, language, source, status, wasm_binary)
SELECT uuidv7(), '{prefix}' || number, language, source, status, wasm_binary
FROM functions, generate_series(1, {count}) AS number WHERE name = 'small';
ANALYZE functions;
"""

_QUEUED = """
SELECT count(*) FROM (
    SELECT pgmq.send('compilation_jobs', jsonb_build_object(
        'functionId', id, 'revision', revision, 'language', language, 'source', source))
    FROM functions WHERE name LIKE 'copy%' LIMIT {count}
) AS sent;
ANALYZE pgmq.q_compilation_jobs;
CHECKPOINT;
"""


def measure(plan: Plan) -> list[Figure]:
    """Measure both servers in turns: with many executions, then also with many functions and queued jobs."""
    require_wrk()
    few, many = plan.count(_FEW), plan.count(_MANY)
    with ExitStack() as stack:
        plan.progress(f"{few:,} executions beside {many:,}")
        small = stack.enter_context(_filled(plan, "small", few))
        large = stack.enter_context(_filled(plan, "large", many))
        small_calls, large_calls = _calls(small), _calls(large)
        measures: dict[str, Callable[[], float]] = {}
        for call in small_calls:
            measures |= {f"small {call}": small_calls[call], f"large {call}": large_calls[call]}
        rounds = in_turns(plan.rounds, measures)
        against = f"with {few:,}"
        named = f"with {many:,} executions"
        figures = [
            figure(f"{call} {named}", "ms", _TARGET, rounds[f"large {call}"], (against, rounds[f"small {call}"]))
            for call in small_calls
        ]
        functions, jobs = plan.count(_FUNCTIONS), plan.count(_JOBS)
        plan.progress(f"{functions:,} functions and {jobs:,} jobs more")
        psql(large, _COPIES.format(prefix="copy", count=functions) + _QUEUED.format(count=jobs))
        rounds = in_turns(plan.rounds, {"small": small_calls["execute"], "large": large_calls["execute"]})
        named = f"with {functions:,} functions, {jobs:,} jobs too"
        return [
            *figures,
            figure(
                f"execute {named}", "ms", _TARGET, rounds["large"], (f"with {_OTHERS + 3} and none", rounds["small"])
            ),
        ]


@contextmanager
def _filled(plan: Plan, name: str, executions: int) -> Iterator[Server]:
    """Run a server with `executions` recorded executions. Its role is api, so that it consumes no compilation jobs."""
    data_dir = plan.place(f"growth-{name}")
    with servers.faas(data_dir) as server, client_of(server) as client:
        client.deploy("add", "add.ts")
        client.deploy("small", "loop.wat")
    with servers.faas(data_dir, "--role", "api") as server:
        psql(
            server,
            _COPIES.format(prefix="old", count=1)
            + _COPIES.format(prefix="other", count=_OTHERS)
            + _EXECUTIONS.format(count=executions),
        )
        yield server


def _calls(server: Server) -> dict[str, Callable[[], float]]:
    """Return the measures of the median latency in milliseconds: of 16 concurrent executions, of one other request."""
    history = "/functions/add/executions"
    ids = psql(server, _SAMPLE.format(count=_READS)).split()
    middle = ids[len(ids) // 2]

    def timed(paths: list[str], connections: int = 1, body: str = "") -> Callable[[], float]:
        return lambda: press(server.url, paths, connections=connections, seconds=1, body=body).median

    return {
        "execute": timed(["/functions/add/execute"], 16, BODY),
        "list": timed([history]),
        "list from the middle": timed([f"{history}?cursor={middle}"]),
        "list FAILED": timed([f"{history}?status=FAILED"]),
        "list what ran long ago": timed(["/functions/old1/executions"]),
        "get": timed([f"/executions/{identity}" for identity in ids]),
    }

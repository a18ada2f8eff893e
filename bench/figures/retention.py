"""Retention: dropping 20 million executions and clearing payloads under load, and lists over 100 partitions.

Not among the points that are measured by default: filling the table takes minutes.
"""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench import servers, steady
from bench.client import BODY, client_of
from bench.database import psql
from bench.failure import BenchmarkFailed
from bench.figures.executions import EXECUTE
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.servers import FAAS, Server
from bench.stats import Figure, at_most, below, figure
from bench.steady import Steady

_OLD, _PAYLOADS = 20_000_000, 400_000  # executions
_RATE = 500.0  # executions per second while partitions are dropped
_DROP_SECONDS = 12
_CONNECTIONS = 64
_FILL_TIMEOUT_SECONDS = 1800.0

# A partition for each of the last 100 days, with 1,000 executions of other functions, and before them one for the old
# executions. The first partition, which has everything until now, is moved out of the way. The quiet function has 60
# executions, all in the oldest of the 100 partitions.
_PARTITIONS = """
CREATE FUNCTION first_id(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
    SELECT rpad(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0'), 32, '0')::uuid
$$;
ALTER TABLE executions DETACH PARTITION executions_first;
DROP TABLE executions_first;
SELECT count(create_executions_partition('executions_day' || day, first_id(midnight - day * interval '1 day'),
                                         first_id(midnight - (day - 1) * interval '1 day')))
FROM (SELECT date_trunc('day', now(), 'UTC') AS midnight) AS today, generate_series(1, 100) AS day;
SELECT create_executions_partition('executions_old', first_id(midnight - interval '200 days'),
                                   first_id(midnight - interval '100 days'))
FROM (SELECT date_trunc('day', now(), 'UTC') AS midnight) AS today;
"""
_EXECUTIONS = """
INSERT INTO executions
    (id, function_id, revision, process_id, status, input, output, logs, created_at, started_at, completed_at)
SELECT uuidv7(ago), {owner}, 1, gen_random_uuid(), 'COMPLETED', '{payload}', '{payload}', '', now() + ago, now() + ago,
       now() + ago
FROM (SELECT number, - {youngest} * interval '1 day' - number / {count}.0 * {days} * interval '1 day' AS ago
      FROM generate_series(1, {count}) AS number) AS generated;
"""
_OTHERS = "('00000000-0000-7000-8000-0000000000' || lpad((number % 50)::text, 2, '0'))::uuid"  # 50 functions
_FUNCTION = "(SELECT id FROM functions WHERE name = '{}')"
_SMALL = '{"a":1,"b":2}'
_LISTS = (  # function, query and name of the figure
    ("add", "", "list of a function that is executed"),
    ("quiet", "", "list of a function that has been quiet"),
    ("quiet", "?status=COMPLETED", "list COMPLETED of a function that has been quiet"),
    ("quiet", "?status=FAILED", "list FAILED of a function that has been quiet"),
    ("quiet", "?status=RUNNING", "list RUNNING of a function that has been quiet"),
)


def measure(plan: Plan) -> list[Figure]:
    """Measure the drop once, lists and the clearing of payloads in rounds."""
    require_wrk()
    data_dir = plan.data_dir("retention")
    with servers.faas(data_dir, "--keep-executions", "0") as server:
        with client_of(server) as client:
            client.deploy("add", "add.as.ts")
            client.deploy("quiet", "loop.wat")
        psql(server, _PARTITIONS)
        _fill(server, _OTHERS, 100_000, youngest=1, days=98)
        _fill(server, _FUNCTION.format("quiet"), 60, youngest=99.2, days=0.1)
        psql(server, "VACUUM ANALYZE executions")
    with servers.faas(data_dir, "--keep-executions", "0") as server:
        figures = _lists(plan, server)
        figures += _drop(plan, server, data_dir)
    return [*figures, *_payloads(plan)]


def _fill(server: Server, owner: str, count: int, *, youngest: float, days: float, payload: str = _SMALL) -> None:
    statement = _EXECUTIONS.format(owner=owner, count=count, youngest=youngest, days=days, payload=payload)
    psql(server, f"SET synchronous_commit = off; {statement}", timeout=_FILL_TIMEOUT_SECONDS)


def _lists(plan: Plan, server: Server) -> list[Figure]:
    press(server.url, [EXECUTE], connections=16, seconds=plan.seconds, body=BODY)
    figures = []
    for name, filtered, what in _LISTS:
        path = f"/functions/{name}/executions{filtered}"
        medians = [press(server.url, [path], connections=1, seconds=plan.seconds).median for _ in range(plan.rounds)]
        figures.append(figure(f"{what}, 100 partitions", "ms", below(10), medians))
    return figures


def _drop(plan: Plan, server: Server, data_dir: Path) -> list[Figure]:
    """Drop the partition of the old executions with `faas prune`, in the middle of a steady load."""
    count = plan.count(_OLD)
    plan.progress(f"{count:,} old executions")
    _fill(server, _OTHERS, count, youngest=101, days=98)
    psql(server, "CHECKPOINT")
    undisturbed = _load(server, _RATE, _DROP_SECONDS)
    with ThreadPoolExecutor(1) as threads:
        loading = threads.submit(_load, server, _RATE, _DROP_SECONDS)
        time.sleep(_DROP_SECONDS / 3)
        command = [str(FAAS), "prune", "--data-dir", str(data_dir), "--keep-executions", "100d", "--log-format", "json"]
        pruned = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        disturbed = loading.result()
    dropped = [json.loads(line) for line in pruned.stderr.splitlines() if '"partition.dropped"' in line]
    if pruned.returncode or [event["partition"] for event in dropped] != ["executions_old"]:
        raise BenchmarkFailed(f"faas prune: {pruned.stdout}{pruned.stderr}"[-500:])
    return [
        figure(f"drop of {count:,} executions, files included", "ms", below(10_000), [dropped[0]["durationMs"]]),
        figure(
            f"longest execution while {count:,} are dropped",
            "ms",
            below(1000),
            [disturbed.greatest],
            ("longest without", [undisturbed.greatest]),
        ),
        figure(
            f"p99 while {count:,} are dropped", "ms", below(1000), [disturbed.p99], ("p99 without", [undisturbed.p99])
        ),
    ]


def _payloads(plan: Plan) -> list[Figure]:
    """Measure p99 at half the greatest rate with and without clearing, on one server that is started for each."""
    data_dir = plan.data_dir("payloads")
    with servers.faas(data_dir) as server:
        with client_of(server) as client:
            client.deploy("add", "add.as.ts")
        _fill(server, _OTHERS, plan.count(_PAYLOADS), youngest=2, days=20, payload=f'"{"x" * 500}"')
        psql(server, "VACUUM ANALYZE executions; CHECKPOINT")
        fastest = press(server.url, [EXECUTE], connections=_CONNECTIONS, seconds=plan.seconds, body=BODY).per_second
    p99s: dict[str, list[float]] = {"0": [], "1d": []}
    for number in range(plan.rounds):
        for keep in ("0", "1d") if number % 2 else ("1d", "0"):
            plan.progress(f"p99 with FAAS_KEEP_PAYLOADS={keep}")
            with servers.faas(data_dir, "--keep-payloads", keep) as server:
                cleared = _cleared(server)
                press(server.url, [EXECUTE], connections=_CONNECTIONS, seconds=1, body=BODY)  # a warm-up
                p99s[keep].append(_load(server, fastest / 2, 4 * plan.seconds).p99)
                if (_cleared(server) > cleared) != (keep == "1d"):
                    raise BenchmarkFailed("payloads were not cleared during the load, or were without the setting")
    return [
        figure("p99 while payloads are cleared", "ms", at_most(1.1), p99s["1d"], ("while none are", p99s["0"])),
    ]


def _cleared(server: Server) -> int:
    return int(psql(server, "SELECT count(*) FROM executions WHERE payloads_expired"))


def _load(server: Server, rate: float, seconds: float) -> Steady:
    count = round(rate * seconds)
    return steady.post(server.url, [EXECUTE], BODY.encode(), connections=_CONNECTIONS, count=count, rate=rate)

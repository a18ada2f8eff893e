"""Executions with 10,000 functions of 20 revisions each compared with few: two data directories, servers in turns.

The rounds are those of `growth`: a new server with a new Postgres on both for each.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench import servers
from bench.client import client_of
from bench.database import BEFORE_A_ROUND, WITHOUT_AUTOVACUUM, psql
from bench.figures.growth import (
    COPIES,
    EXECUTE,
    Measure,
    Timed,
    measure_rounds,
    press_executions,
)
from bench.load import require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_least, at_most, figure

_FUNCTIONS, _REVISIONS = 10_000, 20
_CONNECTIONS = 64
_LONE = "lone"


def measure(plan: Plan) -> list[Figure]:
    """Measure executions per second and the latency of a lone one, with many revisions and with few."""
    require_wrk()
    functions = plan.count(_FUNCTIONS)
    plan.progress(f"{functions * _REVISIONS:,} revisions")
    small, large = _filled(plan, "small", 0), _filled(plan, "large", functions)
    rounds = measure_rounds(plan, [EXECUTE, _LONE], lambda: _warm_servers(plan, small, large))
    times, noisy = rounds.milliseconds, rounds.mixed > 0
    rates = {arm: [1000 / each for each in times[f"{arm} {EXECUTE}"]] for arm in ("small", "large")}
    named, against = f"with {functions * _REVISIONS:,} revisions of {functions:,} functions", "with two"
    return [
        figure(
            f"executions, {_CONNECTIONS} connections, {named}",
            "/s",
            at_least(0.9),
            rates["large"],
            (against, rates["small"]),
            noisy=noisy,
        ),
        figure(
            f"a lone execution {named}",
            "ms",
            at_most(1.1),
            times[f"large {_LONE}"],
            (against, times[f"small {_LONE}"]),
            noisy=noisy,
        ),
    ]


def _filled(plan: Plan, name: str, functions: int) -> Path:
    """Create a data directory with two functions, and `functions` more with _REVISIONS revisions each."""
    data_dir = plan.data_dir(f"revisions-{name}")
    with servers.faas(data_dir) as server, client_of(server) as client:
        client.deploy("add", "add.as.ts")
        client.deploy("small", "loop.wat")
        copies = COPIES.format(prefix="copy", count=functions, revisions=_REVISIONS)
        psql(server, WITHOUT_AUTOVACUUM + (copies if functions else ""))
    return data_dir


@contextmanager
def _warm_servers(plan: Plan, small: Path, large: Path) -> Iterator[Mapping[str, Measure]]:
    """Run a new server on both; yield the measures, those to be compared next to each other."""
    with servers.faas(small, "--role", "api") as one, servers.faas(large, "--role", "api") as other:
        arms = {"small": one, "large": other}
        for server in arms.values():
            psql(server, BEFORE_A_ROUND)
            press_executions(server, connections=_CONNECTIONS, seconds=1)
        yield {
            f"{arm} {name}": partial(measured, server, plan.seconds)
            for name, measured in ((EXECUTE, _throughput), (_LONE, _lone))
            for arm, server in arms.items()
        }


def _throughput(server: Server, seconds: float) -> Timed:
    """Return the milliseconds for each of many executions at once: the inverse of their rate."""
    load, threaded = press_executions(server, connections=_CONNECTIONS, seconds=seconds)
    return Timed(1000 / load.per_second, threaded)


def _lone(server: Server, seconds: float) -> Timed:
    load, threaded = press_executions(server, connections=1, seconds=seconds)
    return Timed(load.median, threaded)

"""Latency at half the maximum rate, alone and beside four functions that loop until their time limit."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from bench import servers, steady
from bench.client import BODY, Client, client_of, warm_faas
from bench.database import BEFORE_A_ROUND, WITHOUT_AUTOVACUUM, psql
from bench.failure import BenchmarkFailed
from bench.figures.executions import EXECUTE
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_most, figure
from bench.steady import Steady

_CONNECTIONS = 64
_LOOPS = 4


def measure(plan: Plan) -> list[Figure]:
    """Measure in each round the maximum rate with wrk, then half of it alone, then half of it beside the loops.

    Each round has a server of its own, so that what the loops of one round leave behind does not count in the next.
    """
    require_wrk()
    data_dir = plan.data_dir("latency")
    with warm_faas(data_dir) as (server, client):
        client.deploy("add", "add.as.ts")
        client.deploy("loop", "loop.wat")
        psql(server, WITHOUT_AUTOVACUUM)
    rounds = [_round(data_dir, plan) for _ in range(plan.rounds)]
    alone, beside = [one for one, _ in rounds], [other for _, other in rounds]
    lag = max(run.lag_p99 for run in (*alone, *beside))
    note = f"the source's own lag: p99 at most {lag:.2f} ms"
    return [
        figure(
            "p99 at half the greatest rate",
            "ms",
            at_most(3),
            [run.p99 for run in alone],
            ("its median", [run.median for run in alone]),
            note=note,
        ),
        figure(
            "median beside 4 endless loops",
            "ms",
            at_most(2),
            [run.median for run in beside],
            ("undisturbed", [run.median for run in alone]),
            note=note,
        ),
    ]


def _round(data_dir: Path, plan: Plan) -> tuple[Steady, Steady]:
    """Return the load at half the greatest rate alone and beside the loops, on a new server."""
    with (
        servers.faas(data_dir, "--role", "api", "--time-limit", "2s") as server,
        client_of(server) as client,
    ):
        psql(server, BEFORE_A_ROUND)
        press(server.url, [EXECUTE], connections=_CONNECTIONS, seconds=1, body=BODY)  # a warm-up
        fastest = press(server.url, [EXECUTE], connections=_CONNECTIONS, seconds=plan.seconds, body=BODY)
        alone = _at(server, fastest.per_second / 2, plan)
        client.require_no_failures()
        return alone, _beside_loops(server, fastest.per_second / 2, plan)


def _at(server: Server, rate: float, plan: Plan) -> Steady:
    count = round(rate * plan.seconds)
    return steady.post(server.url, [EXECUTE], BODY.encode(), connections=_CONNECTIONS, count=count, rate=rate)


def _beside_loops(server: Server, rate: float, plan: Plan) -> Steady:
    """Run the load while four loops are in flight; a loop that ends is executed again."""
    enough = Event()
    with ThreadPoolExecutor(_LOOPS) as threads:
        loops = [threads.submit(_loop, server, enough) for _ in range(_LOOPS)]
        try:
            with client_of(server) as client:
                _await_in_flight(client, _LOOPS)
            run = _at(server, rate, plan)
        finally:
            enough.set()
        for loop in loops:
            loop.result()
    return run


def _loop(server: Server, enough: Event) -> None:
    with client_of(server) as client:
        while not enough.is_set():
            error = client.execute("loop")["errorMessage"]
            if not error.startswith("time limit"):
                raise BenchmarkFailed(f"a loop ended otherwise: {error}")


def _await_in_flight(client: Client, wanted: int) -> None:
    for _ in range(500):
        if client.metric("faas_executions_in_flight") >= wanted:
            return
    raise BenchmarkFailed("the loops do not start")

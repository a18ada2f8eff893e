"""Latency at half the greatest rate, undisturbed and beside four functions that loop to their time limit."""

from concurrent.futures import ThreadPoolExecutor

from bench import servers, steady
from bench.client import BODY, Client, client_of
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
    """Each round: the greatest rate by wrk, then half of it alone, then half of it beside the loops."""
    require_wrk()
    time_limit = plan.seconds + 3  # the loops begin before the load and outlast it
    alone: list[Steady] = []
    beside: list[Steady] = []
    options = ("--time-limit", f"{time_limit}s")
    with servers.faas(plan.place("latency"), *options) as server, client_of(server) as client:
        client.deploy("add", "add.ts")
        client.deploy("loop", "loop.wat")
        for _ in range(plan.rounds):
            fastest = press(server.url, [EXECUTE], connections=_CONNECTIONS, seconds=plan.seconds, body=BODY)
            alone.append(_at(server, fastest.per_second / 2, plan))
            beside.append(_beside_loops(server, fastest.per_second / 2, plan))
    lag = max(run.lag_p99 for run in (*alone, *beside))
    note = f"the source's own lag: p99 at most {lag:.2f} ms"
    return [
        figure(
            "p99 at half the greatest rate",
            "ms",
            at_most(5),
            [run.p99 for run in alone],
            ("its median", [run.median for run in alone]),
            note=note,
        ),
        figure(
            "median beside 4 endless loops",
            "ms",
            at_most(3),
            [run.median for run in beside],
            ("undisturbed", [run.median for run in alone]),
            note=note,
        ),
    ]


def _at(server: Server, rate: float, plan: Plan) -> Steady:
    count = round(rate * plan.seconds)
    return steady.post(server.url, [EXECUTE], BODY.encode(), connections=_CONNECTIONS, count=count, rate=rate)


def _beside_loops(server: Server, rate: float, plan: Plan) -> Steady:
    with ThreadPoolExecutor(_LOOPS) as threads:
        loops = [threads.submit(_loop, server) for _ in range(_LOOPS)]
        with client_of(server) as client:
            _await_in_flight(client, _LOOPS)
        run = _at(server, rate, plan)
        if any(loop.done() for loop in loops):
            raise BenchmarkFailed("a loop ended before the load beside it")
        for loop in loops:
            if not (error := loop.result()).startswith("time limit"):
                raise BenchmarkFailed(f"a loop ended otherwise: {error}")
    return run


def _loop(server: Server) -> str:
    with client_of(server) as client:
        return str(client.execute("loop")["errorMessage"])


def _await_in_flight(client: Client, wanted: int) -> None:
    for _ in range(500):
        if client.metric("faas_executions_in_flight") >= wanted:
            return
    raise BenchmarkFailed("the loops do not begin")

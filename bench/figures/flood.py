"""A flood of deploys: how fast it drains, and what it does to executions.

One flood, because a round of it takes most of a minute. What it is compared with is measured before it and after it, in
as many rounds, so that a host that becomes slower or faster shows in the spread of the reference.
"""

import sys
import time

from bench import steady
from bench.client import BODY, Client, warm_faas
from bench.failure import BenchmarkFailed
from bench.figures.compiling import SOURCE, create, seconds_to_ready
from bench.figures.executions import EXECUTE
from bench.plan import Plan
from bench.processes import one_round, ready
from bench.servers import Server
from bench.stats import Figure, at_least, at_most, figure

_DEPLOYS = 500
_CALLS_PER_SECOND, _CONNECTIONS = 500, 64
_COMPILATIONS = 20  # in a round of the compilers alone
_FULL_RATE = 0.9  # two runs of the same differ by a tenth
_POLL_SECONDS, _DRAIN_TIMEOUT_SECONDS = 0.1, 300.0
_COMPILED = 'faas_compilations_seconds_count{language="assemblyscript",outcome="compiled"}'


def measure(plan: Plan) -> list[Figure]:
    """Measure executions and then nothing but deploys while a flood drains, and both without it before and after."""
    alone: list[float] = []  # compilations per second without a queue
    undisturbed: list[float] = []
    compilers = (sys.executable, "-m", "bench.compiler_rounds", SOURCE, str(plan.count(_COMPILATIONS)))
    with warm_faas(plan.data_dir("flood")) as (server, client), ready(compilers) as process:
        client.deploy("add", "add.as.ts")
        seconds_to_ready(client, 2)  # both compilers
        _executions_ms(server, plan)  # a warm-up

        def compare(rounds: int) -> None:
            for _ in range(rounds):
                alone.append(one_round(process))
                undisturbed.append(_executions_ms(server, plan))

        compare(plan.rounds - plan.rounds // 2)
        deploys = plan.count(_DEPLOYS)
        plan.progress(f"{deploys} deploys")
        compiled = client.metric(_COMPILED)
        names = create(client, deploys)
        during = [_executions_ms(server, plan) for _ in range(plan.rounds)]
        drained = _drained_per_second(client, compiled + deploys, plan.rounds)
        client.await_ready(names)
        compare(plan.rounds // 2)
        client.require_no_failures()
    return [
        figure(
            f"a flood of {deploys} deploys drains", "/s", at_least(_FULL_RATE), drained, ("compilers, no queue", alone)
        ),
        figure("median of executions during the flood", "ms", at_most(1.5), during, ("undisturbed", undisturbed)),
    ]


def _executions_ms(server: Server, plan: Plan) -> float:
    count = _CALLS_PER_SECOND * plan.short_seconds
    rate = _CALLS_PER_SECOND
    return steady.post(server.url, [EXECUTE], BODY.encode(), connections=_CONNECTIONS, count=count, rate=rate).median


def _drained_per_second(client: Client, total: float, parts: int) -> list[float]:
    """Wait until `total` functions have been compiled; return the rate in each of `parts` parts of what is left now."""
    deadline = time.monotonic() + _DRAIN_TIMEOUT_SECONDS
    began, done = time.perf_counter(), client.metric(_COMPILED)
    left = total - done
    if left < parts:
        raise BenchmarkFailed(f"{left:g} deploys were left of the flood: too few for {parts} rounds")
    rates = []
    for part in range(1, parts + 1):
        while (compiled := client.metric(_COMPILED)) < total - left * (parts - part) / parts:
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"{total - compiled:g} deploys are not compiled")
            time.sleep(_POLL_SECONDS)
        now = time.perf_counter()
        rates.append((compiled - done) / (now - began))
        began, done = now, compiled
    return rates

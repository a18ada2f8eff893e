"""Executions in bursts after pauses compared with steady load: throughput must not depend on what came before."""

import time

from bench import servers
from bench.client import client_of
from bench.figures.growth import press_executions
from bench.load import require_wrk
from bench.plan import Plan
from bench.stats import Figure, at_least, figure

_CONNECTIONS = 64
_BURSTS = 8
_BURST_SECONDS, _PAUSE_SECONDS = 3.0, 10.0


def measure(plan: Plan) -> list[Figure]:
    """Measure the rate of each burst; before each of them, after the pause, as much steady load on another server."""
    require_wrk()
    bursts, steady, threaded = [], [], 0
    with servers.faas(plan.data_dir("bursts")) as resting, servers.faas(plan.data_dir("bursts-steady")) as busy:
        for server in (resting, busy):
            with client_of(server) as client:
                client.await_toolchains()
                client.deploy("add", "add.as.ts")
        for _ in range(plan.count(_BURSTS)):
            began = time.monotonic()
            press_executions(busy, connections=_CONNECTIONS, seconds=min(2, plan.seconds))
            steady.append(press_executions(busy, connections=_CONNECTIONS, seconds=_BURST_SECONDS)[0].per_second)
            time.sleep(max(0.0, began + plan.count(round(_PAUSE_SECONDS)) - time.monotonic()))
            load, in_threads = press_executions(resting, connections=_CONNECTIONS, seconds=_BURST_SECONDS)
            bursts.append(load.per_second)
            threaded += in_threads
    middle = sorted(bursts)[len(bursts) // 2]
    note = f"{threaded} of {len(bursts)} bursts in threads" if threaded else "all inline"
    return [
        figure(
            f"bursts of 3 s after pauses of 10 s, {_CONNECTIONS} connections",
            "/s",
            at_least(0.9),
            bursts,
            ("steady load", steady),
            note=note,
        ),
        figure(
            "the slowest of these bursts", "/s", at_least(0.85), [min(bursts)], ("their median", [middle]), host=steady
        ),
    ]

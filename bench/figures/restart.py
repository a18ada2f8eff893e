"""The latency of the first execution after a restart of the server."""

import time
from pathlib import Path
from statistics import median

from bench import servers
from bench.client import Client, client_of, warm_faas
from bench.plan import Plan
from bench.stats import Figure, figure, within

_WARM = 30


def measure(plan: Plan) -> list[Figure]:
    """Start the server in each round, execute at once, and execute again when the compiler has started."""
    data_dir = plan.data_dir("restart")
    with warm_faas(data_dir) as (_, client):
        client.deploy("add", "add.as.ts")
        client.add()
    rounds = [_restarted(data_dir) for _ in range(plan.rounds)]
    first, warm = [pair[0] for pair in rounds], [pair[1] for pair in rounds]
    return [figure("first execution after a restart", "ms", within(20), first, ("a warm one", warm))]


def _restarted(data_dir: Path) -> tuple[float, float]:
    with servers.faas(data_dir) as server, client_of(server) as client:
        client.get("/functions?limit=1")  # opens the connection, which is not part of the measurement
        first = _milliseconds(client)
        client.await_toolchains()
        return first, median(_milliseconds(client) for _ in range(_WARM))


def _milliseconds(client: Client) -> float:
    began = time.perf_counter()
    client.add()
    return (time.perf_counter() - began) * 1000

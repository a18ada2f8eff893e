"""Executions on a server of two workers compared with one process: two servers, in turns, on the same cores."""

from bench import servers
from bench.client import BODY, client_of
from bench.load import Load, press, require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_least, figure

_CONNECTIONS = 64
_PATHS = ["/functions/add/execute"]


def measure(plan: Plan) -> list[Figure]:
    """Measure executions per second of two workers, and of one process."""
    require_wrk()
    with (
        servers.faas(plan.place("workers-1")) as one,
        servers.faas(plan.place("workers-2"), "--workers", "2") as two,
    ):
        loads: dict[str, list[Load]] = {one.url: [], two.url: []}
        for server in (one, two):
            with client_of(server) as client:
                client.deploy("add", "add.as.ts")
            _press(server, plan.seconds)
        for number in range(plan.rounds):
            for server in (one, two) if number % 2 else (two, one):
                loads[server.url].append(_press(server, plan.seconds))
    return [
        figure(
            f"executions with two workers, {_CONNECTIONS} connections",
            "/s",
            at_least(0.95),
            [load.per_second for load in loads[two.url]],
            ("one process", [load.per_second for load in loads[one.url]]),
        )
    ]


def _press(server: Server, seconds: float) -> Load:
    return press(server.url, _PATHS, connections=_CONNECTIONS, seconds=seconds, body=BODY)

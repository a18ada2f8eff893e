"""Executions on a server of two workers compared with one process: two servers, in turns, on the same cores."""

from bench import servers
from bench.client import BODY, client_of
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_least, figure, in_turns

_CONNECTIONS = 64
_PATHS = ["/functions/add/execute"]


def measure(plan: Plan) -> list[Figure]:
    """Measure executions per second of two workers, and of one process."""
    require_wrk()
    with (
        servers.faas(plan.data_dir("workers-1")) as one,
        servers.faas(plan.data_dir("workers-2"), "--workers", "2") as two,
    ):

        def load(server: Server) -> float:
            return press(server.url, _PATHS, connections=_CONNECTIONS, seconds=plan.seconds, body=BODY).per_second

        for server in (one, two):
            with client_of(server) as client:
                client.await_toolchains()
                client.deploy("add", "add.as.ts")
            load(server)  # warm up
        found = in_turns(plan.rounds, {"two": lambda: load(two), "one": lambda: load(one)})
    name = f"executions with two workers, {_CONNECTIONS} connections"
    return [figure(name, "/s", at_least(0.95), found["two"], ("one process", found["one"]))]

"""Executions with a token on each request compared with a server that asks for none: two servers, in turns."""

from bench import servers
from bench.client import BODY, client_of
from bench.load import Load, press, require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_least, figure

_CONNECTIONS = 64
_PATHS = ["/functions/add/execute"]


def measure(plan: Plan) -> list[Figure]:
    """Measure executions per second with a token, and without authentication."""
    require_wrk()
    with (
        servers.faas(plan.data_dir("access-off"), "--auth", "off") as open_,
        servers.faas(plan.data_dir("access-tokens")) as guarded,
    ):
        for server in (open_, guarded):
            with client_of(server) as client:
                client.await_toolchains()
                client.deploy("add", "add.as.ts")
        with client_of(guarded) as client:
            authorization = f"Bearer {client.create_token('bench', 'invoke')}"
        arms = ((open_, ""), (guarded, authorization))
        loads: dict[str, list[Load]] = {server.url: [] for server, _ in arms}
        for server, header in arms:
            _press(server, header, plan.seconds)
        for number in range(plan.rounds):
            for server, header in arms if number % 2 else arms[::-1]:
                loads[server.url].append(_press(server, header, plan.seconds))
    return [
        figure(
            f"executions with a token, {_CONNECTIONS} connections",
            "/s",
            at_least(0.97),
            [load.per_second for load in loads[guarded.url]],
            ("without", [load.per_second for load in loads[open_.url]]),
        )
    ]


def _press(server: Server, authorization: str, seconds: float) -> Load:
    return press(server.url, _PATHS, connections=_CONNECTIONS, seconds=seconds, body=BODY, authorization=authorization)

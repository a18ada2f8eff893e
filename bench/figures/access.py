"""Executions with a token on each request compared with a server that asks for none: two servers, in turns."""

from bench import servers
from bench.client import BODY, client_of
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_least, figure, in_turns

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

        def load(server: Server, header: str = "") -> float:
            answered = press(
                server.url, _PATHS, connections=_CONNECTIONS, seconds=plan.seconds, body=BODY, authorization=header
            )
            return answered.per_second

        load(open_)  # warm up
        load(guarded, authorization)
        found = in_turns(plan.rounds, {"without": lambda: load(open_), "with": lambda: load(guarded, authorization)})
    name = f"executions with a token, {_CONNECTIONS} connections"
    return [figure(name, "/s", at_least(0.97), found["with"], ("without", found["without"]))]

"""Durable executions per second over HTTP, and the latency of a single one."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from bench import servers
from bench.client import BODY, warm_faas
from bench.database import BEFORE_A_ROUND, WITHOUT_AUTOVACUUM, Pgbench, prepare_pgbench, psql
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_least, figure, in_turns, reported, within

EXECUTE = "/functions/add/execute"
_LONE_MS = 0.3  # that a lone execution may take beyond an echo and two commits
_PEERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {
    "echo": servers.echo,
    "workerd": partial(servers.workerd, "echo"),
    "deno": partial(servers.deno, "echo"),
    "functions-framework": servers.functions_framework,
}


def measure(plan: Plan) -> list[Figure]:
    """Compare executions with echoes, a function without sandbox and record, and the two statements alone."""
    require_wrk()
    with ExitStack() as stack:
        ours, client = stack.enter_context(warm_faas(plan.data_dir("executions")))
        peers = {name: stack.enter_context(peer()) for name, peer in _PEERS.items()}
        function_id = client.deploy("add", "add.as.ts")
        client.add()
        prepare_pgbench(ours)
        psql(ours, WITHOUT_AUTOVACUUM)
        pgbench = Pgbench(ours, function_id)
        before = partial(psql, ours, BEFORE_A_ROUND)

        def rates(connections: int, seconds: int) -> dict[str, Callable[[], float]]:
            return {
                "ours": lambda: _rate(ours, EXECUTE, connections, seconds),
                "pgbench": lambda: pgbench.run(connections, seconds)[0],
                **{name: partial(_rate, peer, "/", connections, seconds) for name, peer in peers.items()},
                "deno": partial(_rate, peers["deno"], "/", connections, 1),  # far ahead, and has no target
            }

        plan.progress("warm-up")
        in_turns(1, rates(64, 1))
        plan.progress("64 connections")
        many = in_turns(plan.rounds, rates(64, plan.seconds), before=before)
        plan.progress("16 connections")
        at_16 = rates(16, plan.short_seconds)
        some = in_turns(plan.rounds, {name: at_16[name] for name in ("ours", "echo")}, before=before)
        plan.progress("one connection")
        one = in_turns(
            plan.rounds,
            {
                "ours": lambda: _lone(ours, EXECUTE, plan.short_seconds),
                "echo": lambda: _lone(peers["echo"], "/", plan.short_seconds),
                "pgbench": lambda: pgbench.run(1, plan.short_seconds)[1],
            },
            before=before,
        )
        client.add()
        client.require_no_failures()

    at_64 = "executions, 64 connections"
    unbatched = [echo + pair for echo, pair in zip(one["echo"], one["pgbench"], strict=True)]
    return [
        figure(at_64, "/s", at_least(1.0), many["ours"], ("bare litestar echo", many["echo"])),
        figure(at_64, "/s", at_least(1.0), many["ours"], ("workerd, a JSON echo", many["workerd"])),
        figure(at_64, "/s", at_least(4), many["ours"], ("functions-framework", many["functions-framework"])),
        figure(at_64, "/s", at_least(1.3), many["ours"], ("pgbench, the two statements", many["pgbench"])),
        figure(at_64, "/s", reported(), many["ours"], ("deno serve, a JSON echo", many["deno"])),
        figure("executions, 16 connections", "/s", at_least(0.8), some["ours"], ("bare litestar echo", some["echo"])),
        figure("a lone execution", "ms", within(_LONE_MS), one["ours"], ("echo + the two commits", unbatched)),
    ]


def _rate(server: Server, path: str, connections: int, seconds: int) -> float:
    return press(server.url, [path], connections=connections, seconds=seconds, body=BODY).per_second


def _lone(server: Server, path: str, seconds: int) -> float:
    return press(server.url, [path], connections=1, seconds=seconds, body=BODY).median

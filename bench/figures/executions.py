"""Durable executions per second over HTTP, and the latency of a single one."""

from contextlib import ExitStack

from bench import servers
from bench.client import BODY, client_of
from bench.database import Pgbench, prepare_pgbench
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.stats import Figure, at_least, figure, in_turns, within

EXECUTE = "/functions/add/execute"


def measure(plan: Plan) -> list[Figure]:
    """Compare executions with a bare echo, a function without sandbox and record, and the two statements alone."""
    require_wrk()
    with ExitStack() as stack:
        ours = stack.enter_context(servers.faas(plan.place("executions")))
        echo = stack.enter_context(servers.echo())
        google = stack.enter_context(servers.functions_framework())
        client = stack.enter_context(client_of(ours))
        function_id = client.deploy("add", "add.as.ts")
        client.add()
        prepare_pgbench(ours)
        pgbench = Pgbench(ours, function_id)

        def load(url: str, path: str, connections: int) -> float:
            return press(url, [path], connections=connections, seconds=plan.seconds, body=BODY).per_second

        def lone(url: str, path: str) -> float:
            return press(url, [path], connections=1, seconds=plan.seconds, body=BODY).median

        for url, path in ((ours.url, EXECUTE), (echo.url, "/"), (google.url, "/")):
            load(url, path, 64)  # warm up
        plan.progress("64 connections")
        many = in_turns(
            plan.rounds,
            {
                "ours": lambda: load(ours.url, EXECUTE, 64),
                "echo": lambda: load(echo.url, "/", 64),
                "google": lambda: load(google.url, "/", 64),
                "pgbench": lambda: pgbench.run(64, plan.seconds)[0],
            },
        )
        plan.progress("16 connections")
        some = in_turns(
            plan.rounds,
            {"ours": lambda: load(ours.url, EXECUTE, 16), "echo": lambda: load(echo.url, "/", 16)},
        )
        plan.progress("one connection")
        one = in_turns(
            plan.rounds,
            {
                "ours": lambda: lone(ours.url, EXECUTE),
                "echo": lambda: lone(echo.url, "/"),
                "pgbench": lambda: pgbench.run(1, plan.seconds)[1],
            },
        )
        client.add()
        client.require_no_failures()

    at_64 = "executions, 64 connections"
    unbatched = [echo + pair for echo, pair in zip(one["echo"], one["pgbench"], strict=True)]
    return [
        figure(at_64, "/s", at_least(0.6), many["ours"], ("bare litestar echo", many["echo"])),
        figure(at_64, "/s", at_least(2.5), many["ours"], ("functions-framework", many["google"])),
        figure(at_64, "/s", at_least(1.0), many["ours"], ("pgbench, the two statements", many["pgbench"])),
        figure("executions, 16 connections", "/s", at_least(0.4), some["ours"], ("bare litestar echo", some["echo"])),
        figure("a lone execution", "ms", within(1.0), one["ours"], ("echo + the two commits", unbatched)),
    ]

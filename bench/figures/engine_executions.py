"""Durable executions per second over HTTP of functions in JavaScript and Python, beside AssemblyScript and peers."""

import sys
from collections.abc import Callable
from contextlib import ExitStack

from bench import servers
from bench.client import BODY, client_of
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_least, figure, in_turns, reported

_CONNECTIONS = 64
_FILES = {"assemblyscript": "add.as.ts", "javascript": "add.js", "python": "add.py"}
_WITHOUT_SCANS = (sys.executable, "-m", "bench.without_page_scans")


def measure(plan: Plan) -> list[Figure]:
    """Compare languages on one server, kept with fresh instances on two, and the same handlers on peers."""
    require_wrk()
    with ExitStack() as stack:
        kept = stack.enter_context(servers.faas(plan.data_dir("kept")))
        fresh = stack.enter_context(servers.faas(plan.data_dir("fresh"), program=_WITHOUT_SCANS))
        peers = {
            "workerd": stack.enter_context(servers.workerd("add")),
            "deno": stack.enter_context(servers.deno("add")),
            "functions-framework": stack.enter_context(servers.functions_framework()),
        }
        clients = [stack.enter_context(client_of(server)) for server in (kept, fresh)]
        for client in clients:
            client.await_toolchains()
            for language, file in _FILES.items():
                plan.progress(f"deploy {language}")
                client.deploy(language, file)
                client.add(language)

        def load(server: Server, path: str) -> float:
            return press(server.url, [path], connections=_CONNECTIONS, seconds=plan.short_seconds, body=BODY).per_second

        def execute(server: Server, language: str) -> float:
            return load(server, f"/functions/{language}/execute")

        measures: dict[str, Callable[[], float]] = {
            "javascript": lambda: execute(kept, "javascript"),
            "assemblyscript": lambda: execute(kept, "assemblyscript"),
            "python": lambda: execute(kept, "python"),
            "functions-framework": lambda: load(peers["functions-framework"], "/"),
            "fresh python": lambda: execute(fresh, "python"),
            "fresh javascript": lambda: execute(fresh, "javascript"),
            "workerd": lambda: load(peers["workerd"], "/"),
            "deno": lambda: load(peers["deno"], "/"),
        }
        plan.progress("warm-up")
        for warm_up in measures.values():
            warm_up()
        plan.progress(f"{_CONNECTIONS} connections")
        rounds = in_turns(plan.rounds, measures)
        for client in clients:
            for language in _FILES:
                client.add(language)
            client.require_no_failures()

    def compared(language: str, other: str, against: str, bound: float | None = None) -> Figure:
        target = reported() if bound is None else at_least(bound)
        name = f"executions, 64 connections, {language}"
        return figure(name, "/s", target, rounds[language], (against, rounds[other]))

    return [
        compared("javascript", "assemblyscript", "AssemblyScript", 0.85),
        compared("python", "assemblyscript", "AssemblyScript", 0.7),
        compared("fresh javascript", "javascript", "with kept instances"),
        compared("fresh python", "python", "with kept instances"),
        compared("javascript", "workerd", "workerd, nothing recorded"),
        compared("javascript", "deno", "deno serve, nothing recorded"),
        compared("python", "functions-framework", "functions-framework, nothing recorded"),
    ]

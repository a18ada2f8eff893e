"""Durable executions per second over HTTP of functions in JavaScript and Python, beside AssemblyScript and peers."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import servers
from bench.client import BODY, Client, client_of
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.servers import FAAS, Server
from bench.stats import Figure, Target, at_least, figure, in_turns, reported

_CONNECTIONS = 64
_FILES = {"assemblyscript": "add.as.ts", "javascript": "add.js", "python": "add.py"}
_WITHOUT_SCANS = (sys.executable, "-m", "bench.without_page_scans")
_TARGETS = {"javascript": at_least(0.85), "python": at_least(0.7)}


def measure(plan: Plan) -> list[Figure]:
    """Compare languages on one server."""
    with ExitStack() as stack:
        server, client = _deployed(stack, plan.data_dir("engine-executions"))
        rounds = _rates(plan, {language: (server, _path(language)) for language in _FILES})
        client.require_no_failures()
    return [
        _figure(language, target, rounds[language], ("AssemblyScript", rounds["assemblyscript"]))
        for language, target in _TARGETS.items()
    ]


def measure_peers(plan: Plan) -> list[Figure]:
    """Compare kept instances with fresh ones on two servers, and with the same handlers on peers. No targets."""
    with ExitStack() as stack:
        kept, client = _deployed(stack, plan.data_dir("kept"))
        fresh, other_client = _deployed(stack, plan.data_dir("fresh"), _WITHOUT_SCANS)
        rounds = _rates(
            plan,
            {
                "javascript": (kept, _path("javascript")),
                "python": (kept, _path("python")),
                "functions-framework": (stack.enter_context(servers.functions_framework()), "/"),
                "fresh python": (fresh, _path("python")),
                "fresh javascript": (fresh, _path("javascript")),
                "workerd": (stack.enter_context(servers.workerd("add")), "/"),
                "deno": (stack.enter_context(servers.deno("add")), "/"),
            },
        )
        for checked in (client, other_client):
            checked.require_no_failures()
    return [
        _figure(language, reported(), rounds[language], (against, rounds[other]))
        for language, other, against in (
            ("javascript", "fresh javascript", "fresh instances"),
            ("python", "fresh python", "fresh instances"),
            ("javascript", "workerd", "workerd, nothing recorded"),
            ("javascript", "deno", "deno serve, nothing recorded"),
            ("python", "functions-framework", "functions-framework, nothing recorded"),
        )
    ]


def _deployed(stack: ExitStack, data_dir: Path, program: Sequence[str] = (str(FAAS),)) -> tuple[Server, Client]:
    """Run a server, with all compilers started and the function in all languages, until `stack` closes."""
    server = stack.enter_context(servers.faas(data_dir, program=program))
    client = stack.enter_context(client_of(server))
    client.await_toolchains()
    for language, file in _FILES.items():
        client.deploy(language, file)
        client.add(language)
    return server, client


def _rates(plan: Plan, requested: Mapping[str, tuple[Server, str]]) -> dict[str, list[float]]:
    """Return the answers per second in all rounds, after a warm-up, of the path that is requested of each server."""
    require_wrk()
    measures: dict[str, Callable[[], float]] = {
        name: partial(_rate, server, path, plan.short_seconds) for name, (server, path) in requested.items()
    }
    plan.progress("warm-up")
    in_turns(1, measures)
    plan.progress(f"{_CONNECTIONS} connections")
    return in_turns(plan.rounds, measures)


def _rate(server: Server, path: str, seconds: int) -> float:
    return press(server.url, [path], connections=_CONNECTIONS, seconds=seconds, body=BODY).per_second


def _path(language: str) -> str:
    return f"/functions/{language}/execute"


def _figure(language: str, target: Target, rates: Sequence[float], beside: tuple[str, Sequence[float]]) -> Figure:
    return figure(f"executions, {_CONNECTIONS} connections, {language}", "/s", target, rates, beside)

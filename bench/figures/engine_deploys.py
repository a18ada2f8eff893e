"""Functions in JavaScript and Python: latencies of a deploy, of the first one of a checkout, and of the first call."""

import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median

from bench import host, servers
from bench.client import Client, client_of, warm_faas
from bench.failure import BenchmarkFailed
from bench.fresh_checkout import fresh_checkout
from bench.plan import Plan
from bench.stats import Figure, below, figure, in_turns, within

_FILES = {"JavaScript": "add.js", "Python": "add.py"}
_DEPLOY_MS = {"JavaScript": 100, "Python": 300}
_FIRST_CALL_MS = {"JavaScript": 20, "Python": 60}
_FIRST_DEPLOY_SECONDS = 15
_DEPLOYS, _WARM_CALLS = 10, 30
_numbers = count()


def measure(plan: Plan) -> list[Figure]:
    """Measure deploys on a warm server, calls of restarted servers, and a server in a checkout without engines."""
    data_dir = plan.data_dir("engine-deploys")
    with warm_faas(data_dir) as (_, client):
        plan.progress("deploys")
        for language, file in _FILES.items():
            client.deploy(language.lower(), file)
            client.add(language.lower())
        measures: dict[str, Callable[[], float]] = {
            language: partial(_deploy_ms, client, file) for language, file in _FILES.items()
        }
        deploys = in_turns(plan.rounds, {**measures, "host": host.work_ms})
    plan.progress("restarts")
    restarts = [_first_and_warm(data_dir, list(_FILES)[:: 1 if number % 2 else -1]) for number in range(plan.rounds)]
    plan.progress("a fresh checkout")
    with fresh_checkout() as checkout:
        first = _first_deploy_seconds(checkout, plan.place("fresh-checkout"))
    return [
        *(
            figure(
                f"deploy to READY, {language}",
                "ms",
                below(bound),
                deploys[language],
                note="medians of deploys",
                host=deploys["host"],
            )
            for language, bound in _DEPLOY_MS.items()
        ),
        figure(
            "first deploy to READY in a fresh checkout, JavaScript",
            "s",
            below(_FIRST_DEPLOY_SECONDS),
            [first],
            host=deploys["host"],
        ),
        *(
            figure(
                f"first execution after a restart, {language}",
                "ms",
                within(bound),
                [restart[language][0] for restart in restarts],
                ("a warm one", [restart[language][1] for restart in restarts]),
            )
            for language, bound in _FIRST_CALL_MS.items()
        ),
    ]


def _deploy_ms(client: Client, file: str) -> float:
    """Return the median time from the creation of a function until it is READY; each has another source."""
    return median(_one_deploy_ms(client, file) for _ in range(_DEPLOYS))


def _one_deploy_ms(client: Client, file: str) -> float:
    number = next(_numbers)
    name = f"deployed{number}"
    began = time.perf_counter()
    client.create(name, file, number=number)
    client.await_ready([name])
    return (time.perf_counter() - began) * 1000


def _first_and_warm(data_dir: Path, languages: list[str]) -> dict[str, tuple[float, float]]:
    """Start the server, and execute a function of each language at once, and again when the compilers have started.

    Returns the first latency and the median of the others, in milliseconds.
    """
    with servers.faas(data_dir) as server, client_of(server) as client:
        client.get("/functions?limit=1")  # opens the connection, which is not part of the measurement
        first = {language: _milliseconds(client, language) for language in languages}
        client.await_toolchains()
        return {
            language: (first[language], median(_milliseconds(client, language) for _ in range(_WARM_CALLS)))
            for language in languages
        }


def _milliseconds(client: Client, language: str) -> float:
    began = time.perf_counter()
    client.add(language.lower())
    return (time.perf_counter() - began) * 1000


def _first_deploy_seconds(checkout: Path, data_dir: Path) -> float:
    """Return the time from the start of a server that must build the engine until a function at once is READY."""
    environ = {"PYTHONPATH": str(checkout / "src")}
    program = (sys.executable, "-m", "faas")
    with servers.faas(data_dir, program=program, environ=environ) as server, client_of(server) as client:
        _one_deploy_ms(client, _FILES["JavaScript"])
        if not list((checkout / "src" / "faas" / "engines" / "built").glob("javascript-*.wasm")):
            raise BenchmarkFailed("the server did not build the engine in the fresh checkout")
        return time.perf_counter() - server.began

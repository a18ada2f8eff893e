"""The latency of calls while their function is deployed again and again, and the time of a rollback."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from threading import Event

from bench import host, steady
from bench.client import BODY, Client, client_of, warm_faas
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_most, below, figure, in_turns, reported
from bench.steady import Steady

_CONNECTIONS = 64
_CALLS_PER_SECOND = 500
_ROLLBACKS_IN_A_ROUND = 4
# Language → the file of the function that is called and deployed.
_FILES = {"WAT": "echo.wat", "AssemblyScript": "echo.as.ts"}
_TARGETS = {"WAT": at_most(2), "AssemblyScript": reported()}


def measure(plan: Plan) -> list[Figure]:
    """Measure in each round the calls alone and beside deploys without a pause; then rollbacks."""
    with warm_faas(plan.data_dir("deploys")) as (server, client):
        deployers = {language: _Deployer(server, file) for language, file in _FILES.items()}
        measures: dict[str, Callable[[], Steady]] = {}
        for language, file in _FILES.items():
            client.deploy(file, file)
            calls = partial(_calls, server, plan, file)
            measures[f"{language} alone"] = calls
            measures[language] = partial(deployers[language].beside, calls)
        runs = in_turns(plan.rounds, measures)
        client.require_no_failures()
        rollback: Callable[[], float] = partial(_rollback_ms, client, _FILES["WAT"])
        rollbacks = in_turns(plan.rounds, {"ms": rollback, "host": host.work_ms})
    return [
        *(
            figure(
                f"p99 of calls during {language} deploys",
                "ms",
                target,
                [run.p99 for run in runs[language]],
                ("without deploys", [run.p99 for run in runs[f"{language} alone"]]),
                note=f"{deployers[language].deploys} deploys",
            )
            for language, target in _TARGETS.items()
        ),
        figure(
            "rollback",
            "ms",
            below(50),
            rollbacks["ms"],
            note=f"medians of {_ROLLBACKS_IN_A_ROUND}",
            host=rollbacks["host"],
        ),
    ]


class _Deployer:
    """Deploys `file` as the function of its name again and again, each time with another source."""

    def __init__(self, server: Server, file: str) -> None:
        self._server = server
        self._file = file
        self.deploys = 0

    def beside(self, work: Callable[[], Steady]) -> Steady:
        """Return the result of `work`, beside which the function is deployed."""
        enough = Event()
        with ThreadPoolExecutor(1) as thread:
            deploying = thread.submit(self._deploy_until, enough)
            try:
                result = work()
            finally:
                enough.set()
            deploying.result()
        return result

    def _deploy_until(self, enough: Event) -> None:
        with client_of(self._server) as client:
            while not enough.is_set():
                self.deploys += 1
                client.revise(self._file, self._file, self.deploys)


def _calls(server: Server, plan: Plan, name: str) -> Steady:
    count = _CALLS_PER_SECOND * plan.seconds
    path = f"/functions/{name}/execute"
    return steady.post(server.url, [path], BODY.encode(), connections=_CONNECTIONS, count=count, rate=_CALLS_PER_SECOND)


def _rollback_ms(client: Client, name: str) -> float:
    """Return the median time of rollbacks, each from the newest revision, which is promoted before it."""
    newest = client.get(f"/functions/{name}")["latest"]["revision"]
    milliseconds = []
    for _ in range(_ROLLBACKS_IN_A_ROUND):
        client.promote(name, newest)
        began = time.perf_counter()
        client.roll_back(name)
        milliseconds.append((time.perf_counter() - began) * 1000)
    return median(milliseconds)

"""The latency of calls while their function is deployed again and again, and the time of a rollback."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from statistics import median
from threading import Event

from bench import servers, steady
from bench.client import BODY, Client, client_of
from bench.plan import Plan
from bench.servers import Server
from bench.stats import Figure, at_most, below, figure
from bench.steady import Steady

_CONNECTIONS = 64
_CALLS_PER_SECOND = 500
_ROLLBACKS = 20
_REPORTED = 1_000  # a ratio that is always met: the figure is reported, not judged
_NAMES = {"wat": "echo", "assemblyscript": "add"}
_FILES = {"wat": "echo.wat", "assemblyscript": "add.as.ts"}


def measure(plan: Plan) -> list[Figure]:
    """Measure in each round, for both languages, the calls alone and beside deploys without a pause; then rollbacks."""
    alone: dict[str, list[Steady]] = {language: [] for language in _NAMES}
    beside: dict[str, list[Steady]] = {language: [] for language in _NAMES}
    with servers.faas(plan.place("deploys")) as server, client_of(server) as client:
        client.await_toolchain()
        deployers = {language: _Deployer(server, language) for language in _NAMES}
        for language, name in _NAMES.items():
            client.deploy(name, _FILES[language])
        for _ in range(plan.rounds):
            for language, name in _NAMES.items():
                alone[language].append(_calls(server, name, plan))
                beside[language].append(deployers[language].beside(partial(_calls, server, name, plan)))
        client.require_no_failures()
        rollbacks = [_rollback_ms(client, "echo") for _ in range(plan.count(_ROLLBACKS))]
    return [
        *(
            figure(
                f"p99 of calls during {title} deploys",
                "ms",
                at_most(bound),
                [run.p99 for run in beside[language]],
                ("without deploys", [run.p99 for run in alone[language]]),
                note=f"{deployers[language].deploys} deploys{reported}",
            )
            for language, title, bound, reported in (
                ("wat", "WAT", 2, ""),
                ("assemblyscript", "AssemblyScript", _REPORTED, "; reported: the compiler takes a processor"),
            )
        ),
        figure("rollback", "ms", below(50), [median(rollbacks)], note=f"the median of {len(rollbacks)}"),
    ]


class _Deployer:
    """Deploys one function of `language` again and again, each time with another source."""

    def __init__(self, server: Server, language: str) -> None:
        self._server = server
        self._language = language
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
                client.revise(_NAMES[self._language], _FILES[self._language], self.deploys)


def _calls(server: Server, name: str, plan: Plan) -> Steady:
    count = _CALLS_PER_SECOND * plan.seconds
    path = f"/functions/{name}/execute"
    return steady.post(server.url, [path], BODY.encode(), connections=_CONNECTIONS, count=count, rate=_CALLS_PER_SECOND)


def _rollback_ms(client: Client, name: str) -> float:
    """Promote the newest revision, and return how long the rollback from it takes."""
    client.promote(name, client.get(f"/functions/{name}")["latest"]["revision"])
    began = time.perf_counter()
    client.roll_back(name)
    return (time.perf_counter() - began) * 1000

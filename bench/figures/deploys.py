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
_NAME = "echo"
_DEPLOYED = {"WAT": ("echo.wat", at_most(2)), "AssemblyScript": ("echo.as.ts", reported())}


def measure(plan: Plan) -> list[Figure]:
    """Measure in each round the calls alone and beside deploys without a pause; then rollbacks."""
    with warm_faas(plan.data_dir("deploys")) as (server, client):
        for file, _ in _DEPLOYED.values():  # the first start of a compiler is none of these figures
            client.deploy(file, file)
        client.deploy(_NAME, _DEPLOYED["WAT"][0])
        calls = partial(_calls, server, plan)
        deployers = {language: _Deployer(server, file) for language, (file, _) in _DEPLOYED.items()}
        beside = {language: partial(deployer.beside, calls) for language, deployer in deployers.items()}
        runs = in_turns(plan.rounds, {"alone": calls, **beside})
        client.require_no_failures()
        rollbacks = in_turns(plan.rounds, {"ms": lambda: _rollback_ms(client), "host": host.work_ms})
    return [
        *(
            figure(
                f"p99 of calls during {language} deploys",
                "ms",
                target,
                [run.p99 for run in runs[language]],
                ("without deploys", [run.p99 for run in runs["alone"]]),
                note=f"{deployers[language].deploys} deploys",
            )
            for language, (_, target) in _DEPLOYED.items()
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
    """Deploys `file` as the function again and again, each time with another source."""

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
                client.revise(_NAME, self._file, self.deploys)


def _calls(server: Server, plan: Plan) -> Steady:
    count = _CALLS_PER_SECOND * plan.seconds
    path = f"/functions/{_NAME}/execute"
    return steady.post(server.url, [path], BODY.encode(), connections=_CONNECTIONS, count=count, rate=_CALLS_PER_SECOND)


def _rollback_ms(client: Client) -> float:
    """Return the median time of rollbacks, each from the newest revision, which is promoted before it."""
    newest = client.get(f"/functions/{_NAME}")["latest"]["revision"]
    milliseconds = []
    for _ in range(_ROLLBACKS_IN_A_ROUND):
        client.promote(_NAME, newest)
        began = time.perf_counter()
        client.roll_back(_NAME)
        milliseconds.append((time.perf_counter() - began) * 1000)
    return median(milliseconds)

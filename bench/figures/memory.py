"""The resident memory of the server's process."""

from contextlib import ExitStack

from bench.client import BODY, warm_faas
from bench.database import module_of
from bench.load import press, require_wrk
from bench.plan import Plan
from bench.stats import Figure, at_most, below, figure

_FUNCTIONS = 50
_FEW, _MANY = 10_000, 100_000
_PRESS_SECONDS = 2  # of load at a time, until there have been at least as many executions


def measure(plan: Plan) -> list[Figure]:
    """Measure one server idle, after executions of 50 functions, and after ten times as many."""
    require_wrk()
    with ExitStack() as stack:
        server, client = stack.enter_context(warm_faas(plan.data_dir("memory")))
        idle = server.resident_mib
        plan.progress(f"{_FUNCTIONS} functions")
        client.deploy("add", "add.as.ts")
        names = [f"add{number}" for number in range(_FUNCTIONS)]
        for number, name in enumerate(names):
            client.create_module(name, _distinct_copy(module_of(server, "add"), number))
        client.await_ready(names)
        paths = [f"/functions/{name}/execute" for name in names]

        def after(executions: int) -> float:
            plan.progress(f"{executions} executions")
            while executions > 0:
                executions -= press(server.url, paths, connections=64, seconds=_PRESS_SECONDS, body=BODY).requests
            return server.resident_mib

        few, many = plan.count(_FEW), plan.count(_MANY)
        resident_few = after(few)
        resident_many = after(many - few)
        client.require_no_failures()
    return [
        figure(
            f"memory after {many:,} executions",
            "MiB",
            at_most(1.1),
            [resident_many],
            (f"after {few:,}", [resident_few]),
        ),
        figure("memory, idle", "MiB", below(150), [idle]),
    ]


def _distinct_copy(module: bytes, number: int) -> bytes:
    """Return the module with another custom section: it behaves the same and is a different module for every cache."""
    return module + bytes([0, 3, 1, ord("n"), number])

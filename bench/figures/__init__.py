"""The figures, one module for each point of the benchmark; `POINTS` lists them in the order of measurement."""

from collections.abc import Callable, Sequence

from bench.figures import (
    access,
    bursts,
    call,
    compiling,
    deploys,
    endpoints,
    engine_deploys,
    engine_executions,
    engine_peers,
    engines,
    executions,
    flood,
    functions,
    growth,
    latency,
    memory,
    restart,
    retention,
    revisions,
)
from bench.plan import Plan
from bench.stats import Figure

POINTS: dict[str, Callable[[Plan], Sequence[Figure]]] = {
    "executions": executions.measure,
    "call": call.measure,
    "engines": engines.measure,
    "engine-deploys": engine_deploys.measure,
    "engine-executions": engine_executions.measure,
    "engine-peers": engine_peers.measure,
    "endpoints": endpoints.measure,
    "functions": functions.measure,
    "access": access.measure,
    "bursts": bursts.measure,
    "latency": latency.measure,
    "compile": compiling.measure,
    "flood": flood.measure,
    "deploys": deploys.measure,
    "restart": restart.measure,
    "growth": growth.measure,
    "revisions": revisions.measure,
    "memory": memory.measure,
}
# Measured only when they are named: they take too long.
LONG_POINTS: dict[str, Callable[[Plan], Sequence[Figure]]] = {"retention": retention.measure}

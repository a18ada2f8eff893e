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
    workers,
)
from bench.plan import Plan
from bench.stats import Figure

POINTS: dict[str, Callable[[Plan], Sequence[Figure]]] = {
    "executions": executions.measure,
    "call": call.measure,
    "engine-deploys": engine_deploys.measure,
    "engine-executions": engine_executions.measure,
    "endpoints": endpoints.measure,
    "workers": workers.measure,
    "bursts": bursts.measure,
    "latency": latency.measure,
    "compile": compiling.measure,
    "flood": flood.measure,
    "deploys": deploys.measure,
    "growth": growth.measure,
    "memory": memory.measure,
}
# Measured only when they are named.
LONG_POINTS: dict[str, Callable[[Plan], Sequence[Figure]]] = {
    "access": access.measure,  # a difference of microseconds
    "restart": restart.measure,  # `engine-deploys` measures the first execution of other languages
    "engine-execution-peers": engine_executions.measure_peers,  # has no targets
    "engines": engines.measure,  # in process; `engine-executions` measures the same calls over HTTP
    "engine-peers": engine_peers.measure,  # has no targets
    "functions": functions.measure,  # long, and only what keeps images and instances changes it
    "retention": retention.measure,  # long
    "revisions": revisions.measure,  # `growth` has as many revisions, beside executions and jobs
}

"""The figures, one module for each point of the benchmark; `POINTS` lists them in the order of measurement."""

from collections.abc import Callable, Mapping, Sequence

from bench.figures import call, compiling, executions, growth, latency, memory, restart
from bench.plan import Plan
from bench.stats import Figure

POINTS: Mapping[str, Callable[[Plan], Sequence[Figure]]] = {
    "executions": executions.measure,
    "call": call.measure,
    "latency": latency.measure,
    "compile": compiling.measure,
    "restart": restart.measure,
    "growth": growth.measure,
    "memory": memory.measure,
}

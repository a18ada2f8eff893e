"""The metrics as text, for callers who reach all functions, or some of them."""

from collections.abc import Iterator

import prometheus_client
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from faas.caller import Caller
from faas.executions.function_metrics import NAMED_OTHER, OTHER

_FUNCTION_LABEL = "function"


def metrics_text(caller: Caller) -> bytes:
    """Return all metrics in Prometheus' text format, without the functions that the caller does not reach."""
    if caller.functions is None:
        return prometheus_client.generate_latest()
    registry = prometheus_client.CollectorRegistry()
    registry.register(_Reached(caller))
    return prometheus_client.generate_latest(registry)


class _Reached(Collector):
    """What the registry of the process has, as far as `caller` reaches it.

    The samples of `other`, which stands for many functions, are left out.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def describe(self) -> Iterator[Metric]:
        """Describe nothing: a registry would otherwise collect once to learn the names."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        for metric in prometheus_client.REGISTRY.collect():
            metric.samples = [
                sample
                for sample in metric.samples
                if _FUNCTION_LABEL not in sample.labels or self._reaches(sample.labels[_FUNCTION_LABEL])
            ]
            yield metric

    def _reaches(self, label: str) -> bool:
        return label != OTHER and self._caller.reaches(OTHER if label == NAMED_OTHER else label)

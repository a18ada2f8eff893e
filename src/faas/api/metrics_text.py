"""The metrics as text, for callers who reach all functions, or some of them."""

from collections.abc import Iterable, Iterator

import prometheus_client
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from faas.caller import Caller
from faas.executions.function_metrics import NAMED_OTHER, OTHER
from faas.peers import Peers, collect_families, summed_metrics

_FUNCTION_LABEL = "function"


async def metrics_text(caller: Caller, peers: Peers | None = None) -> bytes:
    """Return all metrics in Prometheus' text format, without the functions that the caller does not reach.

    With `peers`, they are those of all workers of the server.
    """
    if peers is None:
        metrics: Iterable[Metric] = prometheus_client.REGISTRY.collect()
    else:
        own = collect_families()
        found = await peers.metrics(own)
        metrics = summed_metrics(own, found.workers, found.ended)
    registry = prometheus_client.CollectorRegistry()
    registry.register(_Reached(caller, metrics))
    return prometheus_client.generate_latest(registry)


class _Reached(Collector):
    """Those of `metrics` that `caller` reaches.

    The samples of `other`, which stands for many functions, are for callers who reach all functions.
    """

    def __init__(self, caller: Caller, metrics: Iterable[Metric]) -> None:
        self._caller = caller
        self._metrics = metrics

    def describe(self) -> Iterator[Metric]:
        """Describe nothing: a registry would otherwise collect once to learn the names."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics."""
        for metric in self._metrics:
            if self._caller.functions is not None:
                metric.samples = [
                    sample
                    for sample in metric.samples
                    if _FUNCTION_LABEL not in sample.labels or self._reaches(sample.labels[_FUNCTION_LABEL])
                ]
            yield metric

    def _reaches(self, label: str) -> bool:
        return label != OTHER and self._caller.reaches(OTHER if label == NAMED_OTHER else label)

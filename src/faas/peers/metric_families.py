"""Metrics of several processes as one: how each is carried between processes, and summed.

Not prometheus_client's own mode for several processes: it writes each change of each metric to a file, keeps a file for
each process that there has been, and supports no gauge that is a function and no metric of the process itself.
"""

from collections.abc import Iterable, Sequence

import msgspec
import prometheus_client
from prometheus_client.metrics_core import Metric

# Gauges of what all processes share: the answer of one of them is that of all.
_OF_THE_SERVER = {"faas_queue_messages", "faas_queue_oldest_seconds", "faas_table_bytes"}
_LEAST = {"process_start_time_seconds", "process_max_fds", "python_info"}
_SUMMED_WHEN_ENDED = {"counter", "histogram", "summary"}


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One line of a metric."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True, array_like=True):
    """A metric with its samples. `kind` is its type: counter, gauge, histogram and the like."""

    name: str
    documentation: str
    kind: str
    samples: list[Sample]


def collect_families() -> list[Family]:
    """Return the metrics of this process."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            [Sample(sample.name, dict(sample.labels), sample.value) for sample in metric.samples],
        )
        for metric in prometheus_client.REGISTRY.collect()
    ]


def add_families(ended: Sequence[Family], families: Sequence[Family]) -> list[Family]:
    """Return the counts of `ended` processes with those of another one, which has ended with `families`."""
    counts = [family for family in families if family.kind in _SUMMED_WHEN_ENDED]
    return _merge([ended, counts])


def summed_metrics(own: Sequence[Family], others: Iterable[Sequence[Family]], ended: Sequence[Family]) -> list[Metric]:
    """Return the metrics of a server of which `own` are those of the process that answers."""
    shared = [[family for family in families if family.name not in _OF_THE_SERVER] for families in others]
    metrics = []
    for family in _merge([own, *shared, ended]):
        metric = Metric(family.name, family.documentation, family.kind)
        for sample in family.samples:
            metric.add_sample(sample.name, sample.labels, sample.value)
        metrics.append(metric)
    return metrics


def _merge(parts: Iterable[Sequence[Family]]) -> list[Family]:
    """Return the families of all parts, with one sample for each name and labels."""
    described: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for families in parts:
        for family in families:
            described.setdefault(family.name, family)
            merged = values.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, tuple(sample.labels.items()))
                before = merged.get(key)
                if before is None:
                    merged[key] = sample.value
                elif family.name in _LEAST or sample.name.endswith("_created"):
                    merged[key] = min(before, sample.value)
                else:
                    merged[key] = before + sample.value
    return [
        Family(
            name,
            family.documentation,
            family.kind,
            [Sample(sample, dict(labels), value) for (sample, labels), value in values[name].items()],
        )
        for name, family in described.items()
    ]

"""What the workers of one server know of each other: their metrics, which are summed, and the state of compilers."""

from faas.peers.metric_families import Family, Sample, add_families, collect_families, summed_metrics
from faas.peers.peers import CompilerState, PeerMetrics, Peers

__all__ = [
    "CompilerState",
    "Family",
    "PeerMetrics",
    "Peers",
    "Sample",
    "add_families",
    "collect_families",
    "summed_metrics",
]

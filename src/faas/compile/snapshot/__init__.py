"""Snapshots: the image of a function, taken in a confined process that evaluates its source in an engine."""

from faas.compile.snapshot.client import Snapshot, Snapshots

__all__ = ["Snapshot", "Snapshots"]

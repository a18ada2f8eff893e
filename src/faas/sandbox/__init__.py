"""Confined processes: programs that read hostile input, kept from everything else and within limits."""

from faas.sandbox.once import Refused, run_once
from faas.sandbox.plan import Sandbox
from faas.sandbox.pool import WorkerPool
from faas.sandbox.worker import LimitReached, WorkerDied, WorkerProcess

__all__ = ["LimitReached", "Refused", "Sandbox", "WorkerDied", "WorkerPool", "WorkerProcess", "run_once"]

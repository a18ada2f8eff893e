"""Confined processes: programs that read hostile input, kept from everything else and within limits."""

from faas.sandbox.one_shot import OneShot, Refused
from faas.sandbox.plan import Sandbox
from faas.sandbox.pool import WorkerPool
from faas.sandbox.worker import LimitReached, WorkerDied, WorkerProcess

__all__ = ["LimitReached", "OneShot", "Refused", "Sandbox", "WorkerDied", "WorkerPool", "WorkerProcess"]

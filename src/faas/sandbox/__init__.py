"""Confined processes: programs that read hostile input, isolated from the system and limited in resources."""

from faas.sandbox.one_shot import OneShotFailed, OneShotProcess
from faas.sandbox.pool import WorkerPool
from faas.sandbox.sandbox import Sandbox
from faas.sandbox.worker import LimitReached, WorkerDied, WorkerProcess

__all__ = ["LimitReached", "OneShotFailed", "OneShotProcess", "Sandbox", "WorkerDied", "WorkerPool", "WorkerProcess"]

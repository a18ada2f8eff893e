"""Counters behind limits that hold for a server of several processes, in memory that these processes share.

The supervisor makes the memory, each worker opens it with a slot of its own. What a slot counts, only its worker
writes; the supervisor empties the slot of a worker that has ended, however it ended. What all of them change is guarded
by locks of the kernel (fcntl), which a process loses when it dies.
"""

from faas.shared_limits.counts import SharedConnections, SharedCount
from faas.shared_limits.memory import SharedLimits, SharedMemory
from faas.shared_limits.table import UsageEntry, UsageTable

__all__ = ["SharedConnections", "SharedCount", "SharedLimits", "SharedMemory", "UsageEntry", "UsageTable"]

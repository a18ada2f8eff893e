"""Kept instances: instances of engines that were restored to their image after a call, ready for the next one."""

import threading
from collections import OrderedDict

import structlog

from faas.runtime import c_api
from faas.runtime.engine_module import FunctionImage
from faas.runtime.instance import Instance
from faas.runtime.linked_module import Module
from faas.runtime.pagemap import PageScanner, ScanFailed, open_scanner
from faas.runtime.restorable_instance import RestorableInstance

log = structlog.get_logger()

# Of all functions together. Each has up to 4 MiB of its own (MAX_PRIVATE_PAGES), mostly 0.4 MB. More than the functions
# that are called often need, while a uniform load over thousands of functions uses fresh instances anyway.
MAX_KEPT_INSTANCES = 32


class KeptInstances:
    """The instances that calls use: kept ones where there are, fresh ones otherwise. Thread-safe.

    An instance serves one call at a time, and one function only. It is restored right after each call: what a call left
    in memory does not outlive it. The least recently used are thrown away. Without a `scanner` (Linux before 6.7, or
    no /proc), every call has a fresh instance.
    """

    def __init__(self, scanner: PageScanner | None) -> None:
        self._scanner = scanner
        self._lock = threading.Lock()
        self._idle: OrderedDict[RestorableInstance, FunctionImage] = OrderedDict()  # the least recently used first
        self._of: dict[FunctionImage, list[RestorableInstance]] = {}

    def acquire(self, module: Module | FunctionImage, memory_limit: int) -> Instance:
        """Return an instance for one call of `module`, which must be released. It is kept, or not yet `started`."""
        if isinstance(module, Module):
            return Instance(module.pool.engine_address, memory_limit)
        instance = self._take(module)
        if instance is None:
            return RestorableInstance(module, memory_limit)
        instance.limit_memory(memory_limit)
        return instance

    def release(self, module: Module | FunctionImage, instance: Instance) -> None:
        """Keep the instance for another call of `module` if it can be restored, and delete it otherwise."""
        superfluous: Instance | None = instance
        if isinstance(module, FunctionImage) and isinstance(instance, RestorableInstance) and self._restore(instance):
            superfluous = self._keep(module, instance)
        if superfluous:
            superfluous.close()

    @property
    def idle(self) -> list[RestorableInstance]:
        """The instances that are kept now, the least recently used first."""
        with self._lock:
            return list(self._idle)

    def close(self) -> None:
        """Delete every kept instance. No guest may be running."""
        with self._lock:
            instances = list(self._idle)
            self._idle.clear()
            self._of.clear()
        for instance in instances:
            instance.close()
        if self._scanner:
            self._scanner.close()
            self._scanner = None

    def _take(self, module: FunctionImage) -> RestorableInstance | None:
        with self._lock:
            idle = self._of.get(module)
            if not idle:
                return None
            instance = idle.pop()
            if not idle:
                del self._of[module]
            del self._idle[instance]
            return instance

    def _restore(self, instance: RestorableInstance) -> bool:
        if self._scanner is None:
            return False
        try:
            return instance.restore(self._scanner)
        except (ScanFailed, c_api.CallFailed) as failure:
            log.warning("kept_instance.restore_failed", error=str(failure))
            return False

    def _keep(self, module: FunctionImage, instance: RestorableInstance) -> RestorableInstance | None:
        """Add an instance. Returns the one that must go for it."""
        with self._lock:
            self._idle[instance] = module
            self._of.setdefault(module, []).append(instance)
            if len(self._idle) <= MAX_KEPT_INSTANCES:
                return None
            oldest, its_module = self._idle.popitem(last=False)
            idle = self._of[its_module]
            idle.remove(oldest)
            if not idle:
                del self._of[its_module]
            return oldest


def open_kept_instances() -> KeptInstances:
    """Return the kept instances of a process, with a scanner where the kernel has one."""
    return KeptInstances(open_scanner())

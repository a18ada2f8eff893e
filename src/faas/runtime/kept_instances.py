"""Kept instances: instances of engines that were restored to their image after a call, ready for the next one."""

import threading
from collections import OrderedDict
from itertools import takewhile

import structlog

from faas.runtime import c_api
from faas.runtime.engine_module import PROMOTION_CALLS, FunctionImage
from faas.runtime.images import WASM_PAGE_BYTES
from faas.runtime.instance import Instance
from faas.runtime.linked_module import Module
from faas.runtime.pagemap import PageScanner, ScanFailed, open_scanner
from faas.runtime.restorable_instance import RestorableInstance

log = structlog.get_logger()

# Of all functions together. Each has up to MAX_PRIVATE_PAGES twice, as its memory and as the bytes that it is restored
# from: at most 8 MiB, mostly 0.8 MB.
MAX_KEPT_INSTANCES = 32
WINDOW_CALLS = 512  # an instance that was used within as many calls is not thrown away for another function


class KeptInstances:
    """The instances that calls use: kept ones where there are, fresh ones otherwise. Thread-safe.

    A function that is called often gets kept instances: with PROMOTION_CALLS among the last WINDOW_CALLS calls of all
    functions that found none. To make one costs several times a fresh instance, so functions that are called now and
    then, however many there are, have fresh ones.

    A kept instance serves one call at a time, and one function only. It is restored right after each call: what a call
    left in memory does not outlive it. Without a `scanner` (Linux before 6.7, or no /proc), every call has a fresh
    instance.
    """

    def __init__(self, scanner: PageScanner | None) -> None:
        self._scanner = scanner
        self._lock = threading.Lock()
        self._calls = 0  # of all functions that are images
        self._in_use: set[Instance] = set()  # kept instances, and those to be kept, that serve a call
        self._idle: OrderedDict[RestorableInstance, FunctionImage] = OrderedDict()  # the least recently used first
        self._of: dict[FunctionImage, list[RestorableInstance]] = {}

    def acquire(self, module: Module | FunctionImage, memory_limit: int) -> Instance:
        """Return an instance for one call of `module`, which must be released. It is kept, or not yet `started`."""
        if isinstance(module, Module):
            return module.new_instance(memory_limit)
        too_large = module.pages * WASM_PAGE_BYTES > memory_limit  # a fresh instance says so
        if self._scanner is None or too_large or not module.engine.resettable:
            return Instance(module.pool.engine_address, memory_limit)
        with self._lock:
            self._calls += 1
            kept = self._take(module)
            promoted = kept is None and self._promotes(module)
            if kept:
                self._in_use.add(kept)
        if kept and self._begin(kept, memory_limit, self._scanner):
            return kept
        if not promoted:
            return Instance(module.pool.engine_address, memory_limit)
        instance = RestorableInstance(module, memory_limit)
        with self._lock:
            self._in_use.add(instance)
        return instance

    def release(self, module: Module | FunctionImage, instance: Instance) -> None:
        """Keep the instance for another call of `module` if it can be restored, and delete it otherwise."""
        if not isinstance(module, FunctionImage) or not isinstance(instance, RestorableInstance):
            instance.close()
            return
        superfluous: Instance | None = instance
        try:
            if self._restore(instance):
                superfluous = self._keep(module, instance)
            else:
                with self._lock:  # a function that often traps must not have each call pay for another one
                    module.recent_calls.clear()
        finally:
            with self._lock:
                self._in_use.discard(instance)
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

    def _begin(self, kept: RestorableInstance, memory_limit: int, scanner: PageScanner) -> bool:
        """Prepare an instance that was taken for a call. Returns False where it is deleted instead.

        That is one that was restored without a scan before it was found out that scans are needed.
        """
        usable = False
        try:
            if scanner.counts_faults or not kept.calls_since_scan:
                kept.limit_memory(memory_limit)
                if scanner.counts_faults:
                    kept.begin_call()
                usable = True
        finally:
            if not usable:
                with self._lock:
                    self._in_use.discard(kept)
                kept.close()
        return usable

    def _take(self, module: FunctionImage) -> RestorableInstance | None:
        idle = self._of.get(module)
        if not idle:
            return None
        instance = idle.pop()
        if not idle:
            del self._of[module]
        del self._idle[instance]
        return instance

    def _promotes(self, module: FunctionImage) -> bool:
        """Count a call of `module` without a kept instance. Returns True if it is called often enough for one."""
        recent = module.recent_calls
        recent.append(self._calls)
        if len(recent) < PROMOTION_CALLS or recent[0] <= self._calls - WINDOW_CALLS:
            return False
        unused = takewhile(lambda instance: instance.last_call <= self._calls - WINDOW_CALLS, self._idle)
        # Those in use count too: of hundreds of calls at once, most would make one for which there is no room.
        return len(self._idle) - len(list(unused)) + len(self._in_use) < MAX_KEPT_INSTANCES

    def _restore(self, instance: RestorableInstance) -> bool:
        if self._scanner is None:
            return False
        try:
            return instance.restore(self._scanner)
        except (ScanFailed, c_api.CallFailed, MemoryError) as failure:
            log.warning("kept_instance.restore_failed", error=repr(failure))
            return False

    def _keep(self, module: FunctionImage, instance: RestorableInstance) -> RestorableInstance | None:
        """Add an instance. Returns the one that must go for it."""
        with self._lock:
            instance.last_call = self._calls
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

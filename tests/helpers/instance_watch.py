"""Watches which instances calls of engines get, and compares every restored one with a fresh one."""

import threading

from faas.runtime import Runtime
from faas.runtime.c_api import ffi
from faas.runtime.engine_module import FunctionImage
from faas.runtime.instance import Instance
from faas.runtime.linked_module import Module
from faas.runtime.restorable_instance import RestorableInstance

_Memory = tuple[bytes, list[tuple[int, int]]]  # of one instance, with its globals


class InstanceWatch:
    """Stands between a runtime and its kept instances. `close` removes it.

    `last` is the instance that the last call had, and `restored` how many calls had one that had served another call.
    `different` are those that were not the same as a fresh instance, to the byte.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._kept = runtime.kept_instances
        self._acquire = self._kept.acquire
        self._fresh: dict[FunctionImage, _Memory] = {}
        self._lock = threading.Lock()
        self.last: Instance | None = None
        self.restored = 0
        self.different: list[str] = []
        self._kept.acquire = self._watched_acquire  # type: ignore[method-assign]

    def close(self) -> None:
        """Let the runtime use its kept instances directly again."""
        self._kept.acquire = self._acquire  # type: ignore[method-assign]

    def _watched_acquire(self, module: Module | FunctionImage, memory_limit: int) -> Instance:
        instance = self._acquire(module, memory_limit)
        with self._lock:
            self.last = instance
            if isinstance(instance, RestorableInstance) and instance.started:
                self.restored += 1
                self._compare(instance)
        return instance

    def _compare(self, instance: RestorableInstance) -> None:
        image = instance.image
        if image not in self._fresh:
            fresh = Instance(image.pool.engine_address, instance.memory_size)
            image.start(fresh)
            self._fresh[image] = _state(fresh)
            fresh.close()
        memory, values = self._fresh[image]
        found, found_values = _state(instance)
        if found != memory:
            page = next(start for start in range(0, len(memory), 4096) if found[start:][:4096] != memory[start:][:4096])
            self.different.append(f"the page at {page:#x}")
        if found_values != values:
            self.different.append("the globals")


def _state(instance: Instance) -> _Memory:
    return ffi.buffer(instance.memory_address, instance.memory_size)[:], instance.globals()

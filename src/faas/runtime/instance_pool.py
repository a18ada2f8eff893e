"""A wasmtime engine with the pool that its instances come from, and the ticker that advances its epoch.

The runtime has two: one for the modules that authors deploy, one for the engine modules that many functions share. They
differ in how an instance gets its initial memory (precompile/worker.py, engine_config).
"""

from typing import Any

import wasmtime

from faas.runtime import c_api
from faas.runtime.epoch_ticker import EpochTicker
from faas.runtime.limits import Limits
from faas.runtime.precompile.worker import engine_config

# Of each slot for engine modules. Whole interpreters are within it: a fresh instance of JavaScript takes 91 µs a call
# with it, and 310 µs with 64 KiB.
ENGINE_SLOT_KEEP_BYTES = 4 << 20
MAX_WARM_ENGINE_SLOTS = 16


class InstancePool:
    """Slots for `instances` at once, each with up to `limits.memory` bytes of linear memory: reserved addresses only.

    copy_on_write: the initial memory is mapped into instances instead of copied.
    """

    def __init__(self, limits: Limits, *, instances: int, copy_on_write: bool = False) -> None:
        self.copy_on_write = copy_on_write
        self.engine = wasmtime.Engine(
            c_api.with_pooling_allocator(
                engine_config(limits.stack, copy_on_write=copy_on_write),
                instances=instances,
                memory=limits.memory,
                keep_bytes=ENGINE_SLOT_KEEP_BYTES if copy_on_write else c_api.POOL_SLOT_KEEP_BYTES,
                warm_slots=MAX_WARM_ENGINE_SLOTS if copy_on_write else c_api.MAX_WARM_SLOTS,
            )
        )
        self.engine_address: Any = c_api.address_of(self.engine.ptr())
        self.epoch_ticker = EpochTicker(self.engine)

    def close(self) -> None:
        """Free the engine. Its ticker and everything that was made with it must be closed before.

        Its terabytes of reserved addresses are free when the ticker has released it.
        """
        self.engine.close()

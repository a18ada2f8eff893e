"""Engine modules, and the functions that are images of one: they share its native code and differ in memory alone."""

from collections import deque
from typing import Any

import structlog
import wasmtime

from faas.runtime.c_api import KINDS_32_BITS, VALUE_KINDS, ffi
from faas.runtime.hand_off import HandOff
from faas.runtime.image_memory import ImageMemory
from faas.runtime.images import WASM_PAGE_BYTES, Image
from faas.runtime.inline_policy import InlinePolicy
from faas.runtime.instance import Instance
from faas.runtime.limits import Limits
from faas.runtime.linked_module import Contract, InvalidModule, LinkedModule
from faas.runtime.precompile.sealed_code import SealedCode
from faas.units import format_size

PROMOTION_CALLS = 4  # see KeptInstances
MAX_GLOBALS = 8  # of an engine; each is set for each call
# Quick executions before an image is called on the event loop. Its engine is warm, so the first one says enough; where
# thousands of functions take turns, each may wait long for its third.
_INITIAL_STREAK = 1
_START_TICKS = 2000  # 10 s, of an engine's own start function

log = structlog.get_logger()


class EngineUnavailable(Exception):
    """Raised when an engine cannot be used. The message is for authors of functions and for the log."""


def mutable_globals_of(module: wasmtime.Module) -> list[str]:
    """Return the names of the mutable globals that `module` exports, sorted. All of them must be numbers."""
    types = {
        export.name: str(export.type.content)
        for export in module.exports
        if isinstance(export.type, wasmtime.GlobalType) and export.type.mutable
    }
    if not VALUE_KINDS.keys() >= set(types.values()):
        raise EngineUnavailable(f"an engine's mutable globals must be numbers; they are {', '.join(types.values())}")
    if len(types) > MAX_GLOBALS:
        raise EngineUnavailable(f"an engine may have {MAX_GLOBALS} mutable globals, not {len(types)}")
    return sorted(types)


class EngineModule:
    """An engine module, linked, its `native_code`, and its memory as it is after instantiation.

    `initial` is an instance that is never called. Its memory is what images are differences of; as the pages of it are
    mapped from the module, it takes no memory of its own. `resettable` says that the memory of an instance is initial
    again when its pages are discarded: not where it is copied instead of mapped, or where the engine's own start
    function wrote to it. Raises c_api.CallFailed where the engine cannot be instantiated.
    """

    def __init__(self, linked: LinkedModule, native_code: SealedCode, limits: Limits) -> None:
        self.linked = linked
        self.native_code = native_code
        self.pool = linked.pool
        self._limits = limits
        self.initial = self._instantiate()
        self.resettable = self._keeps_memory_when_discarded()
        if not self.resettable:
            log.warning("engine.not_resettable", convention=linked.convention.name)
            self.initial.close()
            self.initial = self._instantiate()
        self.memory: Any = self.initial.memory_address
        self.memory_size = self.initial.memory_size
        names = linked.exports.global_names
        self.global_kinds = {name: kind for name, (kind, _) in zip(names, self.initial.globals(), strict=True)}

    def _instantiate(self) -> Instance:
        instance = Instance(self.pool.engine_address, self._limits.memory)
        try:
            instance.set_deadline(_START_TICKS)
            instance.instantiate(self.linked.instance_pre, self.linked.exports)
        except BaseException:
            instance.close()
            raise
        return instance

    def _keeps_memory_when_discarded(self) -> bool:
        memory = ffi.buffer(self.initial.memory_address, self.initial.memory_size)
        before = bytes(memory)
        self.initial.discard_pages()
        kept = bool(memory == before)
        self.initial.discard_pages()  # they were mapped in order to be compared
        return kept

    def copy_to(self, target: Any, start: int, end: int) -> None:
        """Copy this range of the memory to `target`, which is zero: the part beyond the memory is left as it is."""
        known = min(end, self.memory_size) - start
        if known > 0:
            ffi.memmove(target, self.memory + start, known)

    def close(self) -> None:
        """Free the module. No instance of it may be left but its own."""
        self.initial.close()
        self.linked.close()
        self.native_code.close()


class FunctionImage:
    """A function of an engine, which can be executed like a module. `contract` is how its author wrote it."""

    __slots__ = (
        "contract",
        "convention",
        "engine",
        "global_values",
        "inline_policy",
        "memory",
        "pages",
        "pool",
        "recent_calls",
    )

    def __init__(self, engine: EngineModule, image: Image, hand_off: HandOff, label: str) -> None:
        self.engine = engine
        self.pool = engine.pool
        self.convention = engine.linked.convention
        self.contract: Contract = image.contract
        self.inline_policy = InlinePolicy(hand_off, label, initial_streak=_INITIAL_STREAK)
        self.memory = ImageMemory(image.segments, engine.memory, engine.memory_size)
        self.pages = image.pages
        self.recent_calls: deque[int] = deque(maxlen=PROMOTION_CALLS)  # of KeptInstances
        self.global_values: Any = ffi.new("wasmtime_val_t[]", max(1, len(image.globals)))
        for number, (name, kind) in enumerate(engine.global_kinds.items()):
            self.global_values[number].kind = kind
            self.global_values[number].of.u64 = image.globals[name]

    def start(self, instance: Instance) -> None:
        """Instantiate the engine in `instance`, and make its memory and its globals those of the image."""
        # Until all of the image is there: what restores an instance relies on it. Any exception may end this method.
        instance.failed = True
        instance.instantiate(self.engine.linked.instance_pre, self.engine.linked.exports)
        missing = self.pages - self.engine.memory_size // WASM_PAGE_BYTES
        if missing:
            instance.grow(missing)
        if instance.restorable:
            # The pool clears a slot by writing to it, which leaves every page private. Discarded, they show the
            # engine's memory again.
            instance.discard_pages()
            instance.refuse_large_pages()
        self.memory.write(instance.memory_address)
        instance.set_globals(self.global_values)
        instance.failed = False

    def copy_to(self, target: Any, start: int, end: int) -> None:
        """Copy this range of the image's memory to `target`, which is zero."""
        self.engine.copy_to(target, start, end)
        for first, size, source in self.memory.within(start, end):
            ffi.memmove(target + (first - start), source, size)

    def is_zero(self, start: int, end: int) -> bool:
        """Return True if the image's memory has only zeros in this range."""
        content: Any = ffi.new("char[]", end - start)
        self.copy_to(content, start, end)
        return not ffi.buffer(content)[:].strip(b"\0")

    def close(self) -> None:
        """Free the memory of the image. No guest of it may be running."""


def function_of(
    engine: EngineModule, image: Image, limits: Limits, hand_off: HandOff, label: str
) -> FunctionImage | InvalidModule:
    """Return the function that `image` is, or why it is none of `engine`. `label` is for the log."""
    size = image.pages * WASM_PAGE_BYTES
    if size < engine.memory_size:
        return InvalidModule(f"the image has {image.pages} pages of memory, fewer than its engine begins with")
    if size > limits.memory:
        return InvalidModule(
            f"memory limit of {format_size(limits.memory)} exceeded: the function begins with {format_size(size)}"
        )
    if image.globals.keys() != engine.global_kinds.keys():
        return InvalidModule("the globals of the image are not the mutable globals of its engine")
    for name, kind in engine.global_kinds.items():
        if kind in KINDS_32_BITS and image.globals[name] >> 32:
            return InvalidModule(f"the value of the global {name} has more than 32 bits")
    return FunctionImage(engine, image, hand_off, label)

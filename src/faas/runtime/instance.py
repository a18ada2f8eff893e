"""An instance of a module, in a store of its own."""

import errno
from collections.abc import Sequence
from typing import Any

from faas.runtime import c_api
from faas.runtime.c_api import ffi, lib

ffi.cdef("int madvise(void *memory, size_t size, int advice);")
_libc: Any = ffi.dlopen(None)
_MADV_DONTNEED, _MADV_NOHUGEPAGE = 4, 15

_CALL_VALUES = 4  # length of call_t.values
_CALL_POINTER = ffi.typeof("call_t *")
_CHAR_POINTER = ffi.typeof("char *")
_TRAP_OFFSET = ffi.offsetof("call_t", "trap")
_EXPORTS_OFFSET, _EXPORT_SIZE = ffi.offsetof("call_t", "exports"), ffi.sizeof("wasmtime_extern_t")
_ITEM_OFFSET = ffi.offsetof("wasmtime_extern_t", "of")  # of the function or memory in an export
_MAX_EXPORTS = (ffi.sizeof("call_t") - _EXPORTS_OFFSET) // _EXPORT_SIZE


class ExportLayout:
    """The exports that a calling convention uses, and their offsets in a call_t once they are looked up.

    Exports are looked up by name: by index, wasmtime counts from the first, and with 20,000 exports that costs seconds
    during which no deadline is checked. The types of `functions` have been checked, so calls pass no types.
    """

    __slots__ = ("functions", "global_names", "globals", "memory", "names")

    def __init__(self, functions: list[str], memory: str, mutable_globals: Sequence[str] = ()) -> None:
        names = [*functions, *mutable_globals, memory]
        if len(names) > _MAX_EXPORTS:
            raise ValueError(f"{len(names)} exports; a call_t holds {_MAX_EXPORTS}")
        offsets = [_EXPORTS_OFFSET + number * _EXPORT_SIZE for number in range(len(names))]
        self.functions = {name: offset + _ITEM_OFFSET for name, offset in zip(functions, offsets, strict=False)}
        self.global_names = list(mutable_globals)
        self.globals = [offset + _ITEM_OFFSET for offset in offsets[len(functions) : -1]]
        self.memory = offsets[-1] + _ITEM_OFFSET
        # (name as a C string, its length, offset); the C strings live as long as this list refers to them
        self.names = [
            (ffi.new("char[]", name.encode()), len(name.encode()), offset)
            for name, offset in zip(names, offsets, strict=True)
        ]


class Instance:
    """An instance of a module in a store of its own. `close` must be called in every case.

    Raises c_api.CallFailed when the guest, or its start function, traps. Integers of the guest are unsigned here. Use
    from one thread.
    """

    restorable = False  # see RestorableInstance
    __slots__ = (
        "_base", "_call", "_context", "_functions", "_globals", "_memory", "_memory_limit", "_store", "_trap",
        "_values", "failed",
    )  # fmt: skip

    def __init__(self, engine: Any, memory_limit: int) -> None:
        self._store = c_api.new_store(engine, memory_limit)
        self._memory_limit = memory_limit
        self._context = lib.wasmtime_store_context(self._store)
        call: Any = ffi.new(_CALL_POINTER)
        self._call = call
        self._base = ffi.cast(_CHAR_POINTER, self._call)
        self._trap = self._base + _TRAP_OFFSET
        self._values: Any = self._call.values
        self._functions: dict[str, int] = {}
        self._globals: list[int] = []
        self._memory: Any = None
        self.failed = False  # a call trapped or was interrupted, or the instance has only a part of its image

    def close(self) -> None:
        """Delete the store with the instance and its memory."""
        lib.wasmtime_store_delete(self._store)
        self._memory = None

    @property
    def started(self) -> bool:
        """True once the module is instantiated."""
        return self._memory is not None

    def limit_memory(self, size: int) -> None:
        """Limit the memory to `size` bytes from now on."""
        if size != self._memory_limit:
            c_api.limit_store(self._store, size)
            self._memory_limit = size

    def set_deadline(self, ticks: int) -> None:
        """Make the guest trap when the engine's epoch has advanced by `ticks` from now."""
        lib.wasmtime_context_set_epoch_deadline(self._context, ticks)

    def instantiate(self, instance_pre: Any, exports: ExportLayout) -> None:
        """Instantiate the linked module `instance_pre` and look up its exports."""
        base, context = self._base, self._context
        error = lib.wasmtime_instance_pre_instantiate(instance_pre, context, base, self._trap)
        if error or self._call.trap:
            c_api.raise_failure(error, self._call.trap)
        for name, length, offset in exports.names:
            lib.wasmtime_instance_export_get(context, base, name, length, base + offset)
        self._functions = exports.functions
        self._globals = exports.globals
        self._memory = base + exports.memory

    def call(self, name: str, *arguments: int) -> int:
        """Call an exported function with integers. Returns 64 bits, the lower half of which is an i32 result."""
        values = self._values
        for number, argument in enumerate(arguments):
            values[number].u64 = argument
        function = self._base + self._functions[name]
        error = lib.wasmtime_func_call_unchecked(self._context, function, values, _CALL_VALUES, self._trap)
        if error or self._call.trap:
            self.failed = True
            c_api.raise_failure(error, self._call.trap)
        result: int = values[0].u64
        return result

    @property
    def memory_size(self) -> int:
        """Current size of the linear memory in bytes; 0 before the module is instantiated."""
        return lib.wasmtime_memory_data_size(self._context, self._memory) if self._memory else 0

    @property
    def memory_address(self) -> Any:
        """The address of the linear memory in this process, as a `char *`. It is valid until the memory grows."""
        return ffi.cast(_CHAR_POINTER, lib.wasmtime_memory_data(self._context, self._memory))

    def discard_pages(self) -> None:
        """Give every page of the memory back to the kernel. Raises OSError.

        The memory then has what it was mapped from: the module's data where wasmtime maps that, and zeros elsewhere.
        """
        if _libc.madvise(self.memory_address, self.memory_size, _MADV_DONTNEED):
            raise OSError(ffi.errno, "madvise")

    def refuse_large_pages(self) -> None:
        """Let no page of the memory come into being but by a page fault: the kernel makes large pages by itself.

        Where it has no large pages, nothing happens. Raises OSError.
        """
        failed = _libc.madvise(self.memory_address, self.memory_size, _MADV_NOHUGEPAGE)
        if failed and ffi.errno != errno.EINVAL:
            raise OSError(ffi.errno, "madvise")

    def grow(self, pages: int) -> None:
        """Add `pages` of 64 KiB to the linear memory. Raises CallFailed where a limit prevents it."""
        error = lib.wasmtime_memory_grow(self._context, self._memory, pages, ffi.new("uint64_t *"))
        if error:
            c_api.raise_failure(error, ffi.NULL)

    def set_globals(self, values: Any) -> None:
        """Set the mutable globals of the layout, in its order, to `values`, a `wasmtime_val_t *`."""
        for number, offset in enumerate(self._globals):
            error = lib.wasmtime_global_set(self._context, self._base + offset, values + number)
            if error:
                c_api.raise_failure(error, ffi.NULL)

    def globals(self) -> list[tuple[int, int]]:
        """Return the kind and the bits of each mutable global of the layout, in its order."""
        found: list[tuple[int, int]] = []
        value: Any = ffi.new("wasmtime_val_t *")
        for offset in self._globals:
            lib.wasmtime_global_get(self._context, self._base + offset, value)
            found.append((value.kind, value.of.u32 if value.kind in c_api.KINDS_32_BITS else value.of.u64))
        return found

    def read(self, start: int, size: int) -> bytes | None:
        """Return `size` bytes at `start`, or None where they are not inside the memory."""
        if start < 0 or size < 0 or start + size > self.memory_size:
            return None
        if not size:
            return b""
        content: bytes = ffi.buffer(lib.wasmtime_memory_data(self._context, self._memory) + start, size)[:]
        return content

    def write(self, start: int, data: bytes) -> bool:
        """Write `data` at `start`. Returns False where it does not fit into the memory."""
        if start < 0 or start + len(data) > self.memory_size:
            return False
        ffi.memmove(lib.wasmtime_memory_data(self._context, self._memory) + start, data, len(data))
        return True

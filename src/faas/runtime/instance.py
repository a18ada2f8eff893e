"""One call's instance: fresh, and gone when the call is over."""

from typing import Any

from faas.runtime import c_api
from faas.runtime.c_api import ffi, lib

_VALUES = 4  # of a call_t
_CALL = ffi.typeof("call_t *")
_POINTER = ffi.typeof("char *")
_TRAP = ffi.offsetof("call_t", "trap")
_EXPORTS, _EXPORT = ffi.offsetof("call_t", "exports"), ffi.sizeof("wasmtime_extern_t")
_ITEM = ffi.offsetof("wasmtime_extern_t", "of")  # the function or memory in an export
_MOST = (ffi.sizeof("call_t") - _EXPORTS) // _EXPORT


class Exports:
    """The exports that a calling convention uses, ready to be looked up, and where in a call_t they then lie.

    By name, because numbers are counted from the first: 20,000 exports would cost seconds that no time limit reaches.
    `functions` have been checked: a call of them passes no types.
    """

    __slots__ = ("functions", "memory", "names")

    def __init__(self, functions: list[str], memory: str) -> None:
        names = [*functions, memory]
        if len(names) > _MOST:
            raise ValueError(f"{len(names)} exports; there is room for {_MOST}")
        places = [_EXPORTS + number * _EXPORT for number in range(len(names))]
        self.functions = {name: place + _ITEM for name, place in zip(functions, places, strict=False)}
        self.memory = places[-1] + _ITEM
        # (the name for C, its length, its place); cffi frees what nobody refers to
        self.names = [
            (ffi.new("char[]", name.encode()), len(name.encode()), place)
            for name, place in zip(names, places, strict=True)
        ]


class Guest:
    """An instance of a module during one call. `close` must follow, whatever happened.

    What the guest or its start does wrong is raised as c_api.Unusable. Numbers of the guest are unsigned here.
    """

    __slots__ = ("_base", "_call", "_context", "_functions", "_memory", "_store", "_trap", "_values")

    def __init__(self, engine: Any, memory_limit: int) -> None:
        self._store = c_api.new_store(engine, memory_limit)
        self._context = lib.wasmtime_store_context(self._store)
        call: Any = ffi.new(_CALL)
        self._call = call
        self._base = ffi.cast(_POINTER, self._call)
        self._trap = self._base + _TRAP
        self._values: Any = self._call.values
        self._functions: dict[str, int] = {}
        self._memory: Any = None

    def close(self) -> None:
        """Give everything back."""
        lib.wasmtime_store_delete(self._store)
        self._memory = None

    def set_deadline(self, ticks: int) -> None:
        """Trap when the engine's epoch has advanced by `ticks` from now."""
        lib.wasmtime_context_set_epoch_deadline(self._context, ticks)

    def instantiate(self, ready: Any, exports: Exports) -> None:
        """Make the instance of the linked module `ready` and look its exports up."""
        base, context = self._base, self._context
        error = lib.wasmtime_instance_pre_instantiate(ready, context, base, self._trap)
        if error or self._call.trap:
            c_api.fail(error, self._call.trap)
        for name, length, place in exports.names:
            lib.wasmtime_instance_export_get(context, base, name, length, base + place)
        self._functions = exports.functions
        self._memory = base + exports.memory

    def call(self, name: str, *arguments: int) -> int:
        """Call an export with integers; its result as 64 bits, of which an i32 is the lower half."""
        values = self._values
        for number, argument in enumerate(arguments):
            values[number].u64 = argument
        function = self._base + self._functions[name]
        error = lib.wasmtime_func_call_unchecked(self._context, function, values, _VALUES, self._trap)
        if error or self._call.trap:
            c_api.fail(error, self._call.trap)
        result: int = values[0].u64
        return result

    @property
    def memory_size(self) -> int:
        """Bytes of linear memory now; 0 before there is any."""
        return lib.wasmtime_memory_data_size(self._context, self._memory) if self._memory else 0

    def read(self, start: int, size: int) -> bytes | None:
        """`size` bytes at `start`, or None where they do not lie inside the memory."""
        if start < 0 or size < 0 or start + size > self.memory_size:
            return None
        if not size:
            return b""
        content: bytes = ffi.buffer(lib.wasmtime_memory_data(self._context, self._memory) + start, size)[:]
        return content

    def write(self, start: int, data: bytes) -> bool:
        """Write `data` at `start`; False where it does not fit into the memory."""
        if start < 0 or start + len(data) > self.memory_size:
            return False
        ffi.memmove(lib.wasmtime_memory_data(self._context, self._memory) + start, data, len(data))
        return True

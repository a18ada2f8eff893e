"""wasmtime's C API for the one path that every execution takes; everything else goes through the `wasmtime` package.

The package's own call path (ctypes, a Python object for each export and value) costs several times what the guest
does. cffi calls the same library, of which there is one copy in the process: what the package has made, an engine or a
linked module, is handed over as an address. The declarations are those of wasmtime's `extern.h`, `instance.h`,
`store.h` and `val.h` (https://docs.wasmtime.dev/c-api/); `check_layouts` holds them to the package's.

The engine allocates from a pool: the address space of every instance that can be in flight is reserved once, and a
slot's memory is cleared instead of unmapped.
"""

import ctypes
import resource
from importlib import metadata
from typing import Any, NoReturn

import structlog
import wasmtime
from cffi import FFI
from wasmtime import _bindings, _ffi

log = structlog.get_logger()

ffi = FFI()
ffi.cdef("""
typedef struct { uint64_t store_id; size_t private1; } wasmtime_instance_t;
typedef struct { uint64_t store_id; void *private1; } wasmtime_func_t;
typedef struct { struct { uint64_t store_id; uint32_t private1; }; uint32_t private2; } wasmtime_memory_t;
typedef struct { struct { uint64_t store_id; uint32_t private1; }; uint32_t private2; } wasmtime_table_t;
typedef struct { uint64_t store_id; uint32_t private1; uint32_t private2; uint32_t private3; } wasmtime_global_t;
typedef struct {
    uint8_t kind;
    union { wasmtime_func_t func; wasmtime_global_t global; wasmtime_table_t table; wasmtime_memory_t memory; } of;
} wasmtime_extern_t;
typedef union { int32_t i32; uint64_t u64; uint8_t v128[16]; } wasmtime_val_raw_t;

// All that one call needs in memory, made at once. Its parts are handed on as `char *` to where they lie.
typedef struct {
    wasmtime_instance_t instance;
    void *trap;
    wasmtime_val_raw_t values[4];
    wasmtime_extern_t exports[8];
} call_t;

void *wasmtime_store_new(void *engine, void *data, void *finalizer);
void *wasmtime_store_context(void *store);
void wasmtime_store_delete(void *store);
void wasmtime_store_limiter(
    void *store, int64_t memory_size, int64_t table_elements, int64_t instances, int64_t tables, int64_t memories);
void wasmtime_context_set_epoch_deadline(void *context, uint64_t ticks);
void *wasmtime_instance_pre_instantiate(void *ready, void *context, char *instance, char *trap);
bool wasmtime_instance_export_get(
    void *context, char *instance, const char *name, size_t length, char *item);
void *wasmtime_func_call_unchecked(
    void *context, char *function, wasmtime_val_raw_t *arguments_and_results, size_t length, char *trap);
uint8_t *wasmtime_memory_data(void *context, char *memory);
size_t wasmtime_memory_data_size(void *context, char *memory);
""")
lib: Any = ffi.dlopen(_ffi.dll._name)

_TABLES = 16  # of one instance; the store's limiter says the same
_TABLE_ELEMENTS = 100_000
_INSTANCE_SIZE = 16 << 20  # bytes of an instance's own record: a module with 100,000 functions and exports fits
_KEPT = 64 << 10  # bytes of a slot that are cleared by writing zeros: cheaper than giving the pages back to the kernel
_GIVEN_BACK_TOGETHER = 4  # slots: pages given back slot by slot interrupt the other processors each time


class Unusable(Exception):
    """The module cannot be instantiated, or the guest trapped: `cause` is the package's own exception."""

    def __init__(self, cause: wasmtime.Trap | wasmtime.WasmtimeError) -> None:
        super().__init__()
        self.cause = cause


def pooled(config: wasmtime.Config, *, instances: int, memory: int) -> wasmtime.Config:
    """`config` with a pool for so many `instances` at once, each with up to `memory` bytes of linear memory.

    Without a pool where address space is limited (`ulimit -v`): the engine could not be made. Calls are then slower.
    """
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        log.warning("runtime.no_pool", reason="the address space of this process is limited")
        return config
    pool = _bindings.wasmtime_pooling_allocation_config_new()
    try:
        for name, value in {
            "total_core_instances": instances,
            "total_memories": instances,
            "total_tables": instances * _TABLES,
            "max_tables_per_module": _TABLES,
            "table_elements": _TABLE_ELEMENTS,
            "max_memory_size": memory,
            "max_core_instance_size": _INSTANCE_SIZE,
            "linear_memory_keep_resident": _KEPT,
            "table_keep_resident": _KEPT,
            "decommit_batch_size": _GIVEN_BACK_TOGETHER,
        }.items():
            getattr(_bindings, f"wasmtime_pooling_allocation_config_{name}_set")(pool, value)
        _bindings.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    finally:
        _bindings.wasmtime_pooling_allocation_config_delete(pool)
    return config


def address(pointer: Any) -> Any:
    """A ctypes pointer of the package as a `void *` here. It does not keep what it points to alive."""
    return ffi.cast("void *", ctypes.cast(pointer, ctypes.c_void_p).value or 0)


def new_store(engine: Any, memory: int) -> Any:
    """A store whose guest has one instance, and one memory of up to `memory` bytes. The caller deletes it."""
    store = lib.wasmtime_store_new(engine, ffi.NULL, ffi.NULL)
    lib.wasmtime_store_limiter(store, memory, _TABLE_ELEMENTS, 1, _TABLES, 1)
    return store


def fail(error: Any, trap: Any) -> NoReturn:
    """Raise Unusable for what a call gave: an error, or else a trap. Either is then the exception's to free."""
    if error:
        raised = wasmtime.WasmtimeError._from_ptr(_pointer(error, _ffi.wasmtime_error_t))
        raise Unusable(raised)
    raise Unusable(wasmtime.Trap._from_ptr(_pointer(trap, _ffi.wasm_trap_t)))


def _pointer(pointer: Any, kind: Any) -> Any:
    return ctypes.cast(int(ffi.cast("uintptr_t", pointer)), ctypes.POINTER(kind))


def check_layouts() -> None:
    """Raise TypeError when the package's structures are not those declared above: then it is a version to refuse."""
    for name in ("instance", "func", "memory", "table", "global", "extern", "val_raw"):
        ours = ffi.sizeof(f"wasmtime_{name}_t")
        theirs = ctypes.sizeof(getattr(_bindings, f"wasmtime_{name}"))
        if ours != theirs:
            version = metadata.version("wasmtime")
            raise TypeError(f"wasmtime {version}: wasmtime_{name}_t has {theirs} bytes, expected {ours}")


check_layouts()

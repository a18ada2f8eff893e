"""wasmtime's C API for the path of every execution. Everything else goes through the Python package `wasmtime`.

The package's own call path (ctypes, with a Python object for each export and value) costs several times what the guest
does. cffi calls the same shared library, which the process has loaded once, so objects that the package has made, such
as an engine or a linked module, are passed as addresses. The declarations are those of wasmtime's `extern.h`,
`instance.h`, `store.h` and `val.h` (https://docs.wasmtime.dev/c-api/); `check_layouts` compares them with the package's
when this module is imported.

The engine uses the pooling allocator: the address space of every instance that can be in flight is reserved once, and
the memory of a slot is cleared instead of unmapped.
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
typedef struct { uint8_t kind; union { uint32_t u32; uint64_t u64; uint64_t words[3]; } of; } wasmtime_val_t;

// All the memory of one call in one allocation. Its parts are passed as `char *` to their offsets.
typedef struct {
    wasmtime_instance_t instance;
    void *trap;
    wasmtime_val_raw_t values[4];
    wasmtime_extern_t exports[16];
} call_t;

void *wasmtime_store_new(void *engine, void *data, void *finalizer);
void *wasmtime_store_context(void *store);
void wasmtime_store_delete(void *store);
void wasmtime_store_limiter(
    void *store, int64_t memory_size, int64_t table_elements, int64_t instances, int64_t tables, int64_t memories);
void wasmtime_context_set_epoch_deadline(void *context, uint64_t ticks);
void *wasmtime_instance_pre_instantiate(void *instance_pre, void *context, char *instance, char *trap);
bool wasmtime_instance_export_get(
    void *context, char *instance, const char *name, size_t length, char *item);
void *wasmtime_func_call_unchecked(
    void *context, char *function, wasmtime_val_raw_t *arguments_and_results, size_t length, char *trap);
uint8_t *wasmtime_memory_data(void *context, char *memory);
size_t wasmtime_memory_data_size(void *context, char *memory);
void *wasmtime_memory_grow(void *context, char *memory, uint64_t pages, uint64_t *previous_pages);
void wasmtime_global_get(void *context, char *global, wasmtime_val_t *value);
void *wasmtime_global_set(void *context, char *global, const wasmtime_val_t *value);
""")
lib: Any = ffi.dlopen(_ffi.dll._name)

VALUE_KINDS = {"i32": 0, "i64": 1, "f32": 2, "f64": 3}  # of wasmtime_val_t
KINDS_32_BITS = (VALUE_KINDS["i32"], VALUE_KINDS["f32"])

MAX_TABLES = 16  # of one instance
MAX_TABLE_ELEMENTS = 100_000
MAX_INSTANCE_BYTES = 16 << 20  # of wasmtime's own record of an instance: enough for 100,000 functions and exports
POOL_SLOT_KEEP_BYTES = 64 << 10  # cleared by writing zeros, which is cheaper than returning the pages to the kernel
MAX_WARM_SLOTS = 100  # unused ones that keep their memory
DECOMMIT_BATCH_SLOTS = 4  # returning the pages of each slot on its own interrupts the other processors each time
# A thread that returns the pages of a batch has no guest but holds the batch's slots, and no other thread can wait for
# them: instantiation would fail where many guests end in the same tick. Enough for 16 threads at that point at once.
SPARE_SLOTS = 16 * DECOMMIT_BATCH_SLOTS


class CallFailed(Exception):
    """Raised when a module cannot be instantiated or a guest traps. `cause` is the package's own exception."""

    def __init__(self, cause: wasmtime.Trap | wasmtime.WasmtimeError) -> None:
        super().__init__()
        self.cause = cause


def with_pooling_allocator(
    config: wasmtime.Config,
    *,
    instances: int,
    memory: int,
    keep_bytes: int = POOL_SLOT_KEEP_BYTES,
    warm_slots: int = MAX_WARM_SLOTS,
) -> wasmtime.Config:
    """Add a pool for `instances` at once, each with up to `memory` bytes of linear memory, to `config` and return it.

    The first `keep_bytes` of a memory are cleared instead of returned to the kernel, in up to `warm_slots` that are not
    in use. Where address space is limited
    (`ulimit -v`), `config` is returned without a pool, because no engine could be made with it. Executions are slower
    then.
    """
    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        log.warning("instance_pool.disabled", reason="the address space of this process is limited")
        return config
    slots = instances + SPARE_SLOTS
    pool = _bindings.wasmtime_pooling_allocation_config_new()
    try:
        for name, value in {
            "total_core_instances": slots,
            "total_memories": slots,
            "total_tables": slots * MAX_TABLES,
            "max_tables_per_module": MAX_TABLES,
            "table_elements": MAX_TABLE_ELEMENTS,
            "max_memory_size": memory,
            "max_core_instance_size": MAX_INSTANCE_BYTES,
            "linear_memory_keep_resident": keep_bytes,
            "max_unused_warm_slots": warm_slots,
            "table_keep_resident": POOL_SLOT_KEEP_BYTES,
            "decommit_batch_size": DECOMMIT_BATCH_SLOTS,
        }.items():
            getattr(_bindings, f"wasmtime_pooling_allocation_config_{name}_set")(pool, value)
        _bindings.wasmtime_pooling_allocation_strategy_set(config.ptr(), pool)
    finally:
        _bindings.wasmtime_pooling_allocation_config_delete(pool)
    return config


def address_of(pointer: Any) -> Any:
    """Convert a ctypes pointer of the package to a `void *` of cffi. It does not keep the object alive."""
    return ffi.cast("void *", ctypes.cast(pointer, ctypes.c_void_p).value or 0)


def new_store(engine: Any, memory: int) -> Any:
    """Make a store for one instance with one memory of up to `memory` bytes. The caller must delete it."""
    store = lib.wasmtime_store_new(engine, ffi.NULL, ffi.NULL)
    limit_store(store, memory)
    return store


def limit_store(store: Any, memory: int) -> None:
    """Limit the store to one instance with one memory of up to `memory` bytes."""
    lib.wasmtime_store_limiter(store, memory, MAX_TABLE_ELEMENTS, 1, MAX_TABLES, 1)


def raise_failure(error: Any, trap: Any) -> NoReturn:
    """Raise CallFailed for the error or the trap that a call returned. The exception owns and frees it."""
    if error:
        raised = wasmtime.WasmtimeError._from_ptr(_pointer(error, _ffi.wasmtime_error_t))
        raise CallFailed(raised)
    raise CallFailed(wasmtime.Trap._from_ptr(_pointer(trap, _ffi.wasm_trap_t)))


def _pointer(pointer: Any, kind: Any) -> Any:
    return ctypes.cast(int(ffi.cast("uintptr_t", pointer)), ctypes.POINTER(kind))


def check_layouts() -> None:
    """Raise TypeError when the package's structures differ in size from those declared above.

    Another version of the package may have changed them; it must be refused, because it would corrupt memory.
    """
    for name in ("instance", "func", "memory", "table", "global", "extern", "val", "val_raw"):
        ours = ffi.sizeof(f"wasmtime_{name}_t")
        theirs = ctypes.sizeof(getattr(_bindings, f"wasmtime_{name}"))
        if ours != theirs:
            version = metadata.version("wasmtime")
            raise TypeError(f"wasmtime {version}: wasmtime_{name}_t has {theirs} bytes, expected {ours}")


# What the package calls around each call of a host function. Each takes nanoseconds and calls nothing back.
_QUICK_FUNCTIONS = (
    "wasm_valtype_new", "wasm_valtype_kind", "wasm_valtype_delete", "wasmtime_caller_context",
    "wasmtime_caller_export_get", "wasmtime_memory_data", "wasmtime_memory_data_size",
)  # fmt: skip


def keep_gil_in_quick_functions() -> None:
    """Let the package call _QUICK_FUNCTIONS without releasing the GIL.

    ctypes releases it for each call, and a host function makes several. Where hundreds of guests wake up at once, each
    of these calls would wait for the GIL again: 200 guests, each with a request that is answered at once, took 0.7 to
    0.95 s together, and take 0.5 to 0.6.
    """
    library = ctypes.PyDLL(_ffi.dll._name)
    for name in _QUICK_FUNCTIONS:
        released, kept = getattr(_bindings, f"_{name}"), getattr(library, name)
        kept.restype, kept.argtypes = released.restype, released.argtypes
        setattr(_bindings, f"_{name}", kept)


check_layouts()
keep_gil_in_quick_functions()

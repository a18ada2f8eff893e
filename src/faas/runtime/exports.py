"""An instance's exports, found by name.

wasmtime-py's own `Instance.exports` fetches them all by their number, each by counting from the first: 20,000 exports
cost 10 s, before the guest runs and where its time limit does not reach.
"""

import ctypes

import wasmtime
from wasmtime import _extern, _ffi


def export(store: wasmtime.Store, instance: wasmtime.Instance, name: str) -> object:
    """The export of `instance` that is called `name`, or None."""
    item = _ffi.wasmtime_extern_t()
    encoded = name.encode()
    found = _ffi.wasmtime_instance_export_get(
        store._context(),
        ctypes.byref(instance._instance),
        ctypes.create_string_buffer(encoded),
        len(encoded),
        ctypes.byref(item),
    )
    return _extern.wrap_extern(item) if found else None

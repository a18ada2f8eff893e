"""The convention of the Python engine (engines/python/host_module.py).

`alloc(len: i32) -> i32` allocates memory for a request: 16 random bytes, the 16 bytes of the execution's id, the length
of a part of bytes, that part, which is the secrets of the function as JSON or empty, and the input.
`handle(ptr: i32, len: i32) -> i64` returns `ptr << 32 | len` of the output; the highest bit of `len` is set where it is
a message for the author instead. Input, output and message are UTF-8.
"""

import os
import struct

import msgspec

from faas.runtime import c_api, host_context
from faas.runtime.abi import javascript
from faas.runtime.abi.convention import CallingConvention
from faas.runtime.instance import Instance
from faas.runtime.outcome import GuestFault
from faas.units import format_size

_U32 = 0xFFFF_FFFF
_FAILED = 0x8000_0000
_RANDOM_BYTES, _NO_SECRETS = 16, bytes(4)
_OUT_OF_MEMORY = "MemoryError: the memory limit is exceeded"  # engines/python/guest/failures.py


def _invoke(instance: Instance, input_json: bytes, output_limit: int) -> bytes:
    context = host_context.current()
    secrets = _part(msgspec.json.encode(context.reach.secrets)) if context.reach.secrets else _NO_SECRETS
    request = os.urandom(_RANDOM_BYTES) + context.execution_id() + secrets + input_json
    start = instance.call("alloc", len(request)) & _U32
    if not start or not instance.write(start, request):
        raise GuestFault(_memory_limit())
    try:
        packed = instance.call("handle", start, len(request))
    except c_api.CallFailed:
        if context.thread_needed:  # the guest traps, as it cannot go on
            raise host_context.MustRunInThread from None
        raise
    start, size = packed >> 32 & _U32, packed & _U32 & ~_FAILED
    if packed & _FAILED:
        raise GuestFault(_describe((instance.read(start, size) or b"").decode("utf-8", "replace")))
    if size > output_limit:
        raise GuestFault(f"output limit of {format_size(output_limit)} exceeded: the result has {size} bytes")
    answer = instance.read(start, size)
    if answer is None:
        raise GuestFault("the engine returned an address outside its memory")
    return answer


def _part(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + content


def _describe(message: str) -> str:
    if not message:  # there was not even memory for the arguments
        return _memory_limit()
    return _memory_limit() + message.removeprefix(_OUT_OF_MEMORY) if message.startswith(_OUT_OF_MEMORY) else message


def _memory_limit() -> str:
    return f"memory limit of {format_size(host_context.current().limits.memory)} exceeded"


CONVENTION = CallingConvention(
    name="Python",
    marker="compile",
    # `compile` and `load` are called when an image is taken; they tell the engine from a module of the core convention.
    exports={
        "memory": "memory",
        "alloc": "(i32) -> i32",
        "handle": "(i32, i32) -> i64",
        "compile": "(i32, i32) -> i64",
        "load": "(i32, i32) -> i64",
    },
    imports=javascript.CONVENTION.imports,
    invoke=_invoke,
    functions_are_authors=False,
    lone_surrogates=True,
)

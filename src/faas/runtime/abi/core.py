"""The core convention, for any toolchain: bytes in a linear memory, and no imports but those of the module `faas`.

`alloc(len: i32) -> i32` allocates memory for the input; `handle(ptr: i32, len: i32) -> i64` returns `ptr << 32 | len`
of the output. Input and output are JSON, UTF-8.
"""

from faas.runtime.abi import reach
from faas.runtime.abi.convention import CallingConvention
from faas.runtime.instance import Instance
from faas.runtime.outcome import GuestFault
from faas.units import format_size

_U32 = 0xFFFF_FFFF


def _invoke(instance: Instance, input_json: bytes, output_limit: int) -> bytes:
    start = instance.call("alloc", len(input_json)) & _U32
    if not instance.write(start, input_json):
        raise GuestFault(
            f"alloc({len(input_json)}) returned {start}, which leaves no room for {len(input_json)} bytes in memory: "
            "it must return the address of that much free memory, growing it where needed"
        )
    packed = instance.call("handle", start, len(input_json))
    start, size = packed >> 32 & _U32, packed & _U32
    if size > output_limit:
        raise GuestFault(f"output limit of {format_size(output_limit)} exceeded: handle returned {size} bytes")
    output = instance.read(start, size)
    if output is None:
        raise GuestFault(
            f"handle returned address {start} and length {size}, which lie outside its memory: "
            "it must return ptr << 32 | len of the output"
        )
    return output


CONVENTION = CallingConvention(
    name="core",
    marker="alloc",
    exports={"memory": "memory", "alloc": "(i32) -> i32", "handle": "(i32, i32) -> i64"},
    imports={},
    reach=reach.imports(reach.allocate),
    invoke=_invoke,
)

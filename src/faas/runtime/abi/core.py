"""The core convention, for any toolchain: bytes in a linear memory, no imports.

`alloc(len: i32) -> i32` gives room for the input; `handle(ptr: i32, len: i32) -> i64` gives `ptr << 32 | len` of the
output. Both documents are UTF-8.
"""

from faas.runtime.abi.convention import ABI
from faas.runtime.instance import Guest
from faas.runtime.outcome import GuestFault
from faas.units import format_size

_U32 = 0xFFFF_FFFF


def _invoke(guest: Guest, document: bytes, output_limit: int) -> bytes:
    start = guest.call("alloc", len(document)) & _U32
    if not guest.write(start, document):
        raise GuestFault(
            f"alloc({len(document)}) returned {start}, which leaves no room for {len(document)} bytes in memory: "
            "it must return the address of that much free memory, growing it where needed"
        )
    packed = guest.call("handle", start, len(document))
    start, size = packed >> 32 & _U32, packed & _U32
    if size > output_limit:
        raise GuestFault(f"output limit of {format_size(output_limit)} exceeded: handle returned {size} bytes")
    output = guest.read(start, size)
    if output is None:
        raise GuestFault(
            f"handle returned address {start} and length {size}, which lie outside its memory: "
            "it must return ptr << 32 | len of the output"
        )
    return output


CONVENTION = ABI(
    name="core",
    marker="alloc",
    exports={"memory": "memory", "alloc": "(i32) -> i32", "handle": "(i32, i32) -> i64"},
    imports={},
    invoke=_invoke,
)

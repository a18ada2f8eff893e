"""Modules that no assembler writes: broken, with wrong sizes, or of a kind that is not permitted."""

from tests.helpers.support import core_wat, wat
from tests.integration.hostile.outcomes import Hostile, completes, refused

PREAMBLE = b"\0asm\1\0\0\0"
ECHO = wat(core_wat())
_HUGE = b"\xff\xff\xff\xff\x0f"  # 2^32 - 1


def leb(number: int) -> bytes:
    """Encode an integer as unsigned LEB128."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def section(number: int, content: bytes) -> bytes:
    """Return a section of a module."""
    return bytes([number]) + leb(len(content)) + content


def many_functions(count: int, body: bytes = b"\0\x0b") -> bytes:
    """Return a module with `count` functions of the type () -> ()."""
    types = section(1, b"\1\x60\0\0")
    functions = section(3, leb(count) + b"\0" * count)
    code = section(10, leb(count) + (leb(len(body)) + body) * count)
    return PREAMBLE + types + functions + code


def many_branches(count: int) -> bytes:
    """Return a module whose only function, of 1,000 locals and `count` branches, is unusually costly to precompile."""
    code = b"\1" + leb(1000) + b"\x7f"
    for number in range(count):
        code += b"\x20" + leb(number * 7 % 1000) + b"\x04\x40\x41\1\x21" + leb(number * 13 % 1000) + b"\x0b"
    code += b"\x0b"
    return PREAMBLE + section(1, b"\1\x60\0\0") + section(3, b"\1\0") + section(10, b"\1" + leb(len(code)) + code)


_TYPE = section(1, b"\1\x60\0\0")
_FUNCTION = section(3, b"\1\0")

BINARIES: dict[str, Hostile] = {
    "nothing": refused(b"", "not a valid WebAssembly module"),
    "the preamble alone": refused(PREAMBLE, "follows no known calling convention"),
    "half a preamble": refused(PREAMBLE[:6], "not a valid WebAssembly module"),
    "an ELF file": refused(b"\x7fELF" + bytes(200), "not a valid WebAssembly module"),
    "native code of wasmtime's": refused(b"\x7fELF\2\1\1\xc8" + bytes(500), "not a valid WebAssembly module"),
    "the text format as a binary": refused(core_wat().encode(), "it does not begin with the bytes of a module"),
    "another version": refused(b"\0asm\2\0\0\0", "not a valid WebAssembly module"),
    "a component": refused(b"\0asm\x0d\0\1\0", "not a valid WebAssembly module"),
    "cut in the middle": refused(ECHO[: len(ECHO) // 2], "not a valid WebAssembly module"),
    "cut by one byte": refused(ECHO[:-1], "not a valid WebAssembly module"),
    "something behind the end": refused(ECHO + b"\xff", "not a valid WebAssembly module"),
    "a section longer than the module": refused(PREAMBLE + b"\1" + _HUGE, "not a valid WebAssembly module"),
    "a number that never ends": refused(PREAMBLE + b"\1" + b"\x80" * 100, "not a valid WebAssembly module"),
    "four billion types": refused(PREAMBLE + section(1, _HUGE), "not a valid WebAssembly module"),
    "four billion functions": refused(PREAMBLE + _TYPE + section(3, _HUGE), "not a valid WebAssembly module"),
    "four billion parameters": refused(PREAMBLE + section(1, b"\1\x60" + _HUGE), "not a valid WebAssembly module"),
    "four billion exports": refused(PREAMBLE + section(7, _HUGE), "not a valid WebAssembly module"),
    "a name of four gigabytes": refused(PREAMBLE + section(2, b"\1" + _HUGE + b"x"), "not a valid WebAssembly module"),
    "a name that is no UTF-8": refused(PREAMBLE + section(2, b"\1\1\xff\1x\0\0"), "not a valid WebAssembly module"),
    "four billion locals": refused(
        PREAMBLE + _TYPE + _FUNCTION + section(10, b"\1" + section(8, b"\1" + _HUGE + b"\x7f\x0b")[1:]),
        "not a valid WebAssembly module",
    ),
    "a branch table of four billion": refused(
        PREAMBLE + _TYPE + _FUNCTION + section(10, b"\1" + section(8, b"\0\x41\0\x0e" + _HUGE + b"\0\x0b")[1:]),
        "not a valid WebAssembly module",
    ),
    "sections out of order": refused(
        PREAMBLE + _FUNCTION + _TYPE + section(10, b"\1\2\0\x0b"), "not a valid WebAssembly module"
    ),
    "a section twice": refused(PREAMBLE + _TYPE + _TYPE, "not a valid WebAssembly module"),
    "an unknown section": refused(PREAMBLE + section(200, b"x"), "not a valid WebAssembly module"),
    "functions without code": refused(PREAMBLE + _TYPE + _FUNCTION, "not a valid WebAssembly module"),
    "code of another count": refused(
        PREAMBLE + _TYPE + _FUNCTION + section(10, leb(2) + b"\2\0\x0b" * 2), "not a valid WebAssembly module"
    ),
    "an unknown instruction": refused(
        PREAMBLE + _TYPE + _FUNCTION + section(10, b"\1\3\0\xff\x0b"), "not a valid WebAssembly module"
    ),
    "a data count that lies": refused(
        PREAMBLE + section(5, b"\1\0\1") + section(12, _HUGE) + section(11, b"\0"), "not a valid WebAssembly module"
    ),
    "a memory of 2^32 pages": refused(PREAMBLE + section(5, b"\1\0" + _HUGE), "not a valid WebAssembly module"),
    "a start function that is not there": refused(PREAMBLE + section(8, b"\x63"), "not a valid WebAssembly module"),
    "over a million functions": refused(many_functions(1_000_001), "not a valid WebAssembly module"),
    "a name section that lies": completes(ECHO + section(0, b"\4name\1" + _HUGE + b"\xff" * 40)),
    "a custom section of four megabytes": completes(ECHO + section(0, b"\1x" + bytes(4 << 20))),
    "a producers section that is junk": completes(ECHO + section(0, b"\x09producers" + _HUGE)),
    "a name of 100 KB for handle": completes(
        ECHO + section(0, b"\4name" + section(1, b"\1\1" + leb(100_000) + b"h" * 100_000))
    ),
}

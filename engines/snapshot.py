"""Writes a module with another initial memory: the state of an instance becomes the state in which instances begin."""

import re
from collections.abc import Iterator, Mapping

from faas.runtime.images.binary_format import (
    CUSTOM,
    DATA,
    MAGIC,
    MEMORY,
    Reader,
    encode_address,
    encode_name,
    encode_u32,
    read_sections,
    write_section,
)

_IMPORT, _GLOBAL, _EXPORT, _START, _DATA_COUNT = 2, 6, 7, 8, 12
_I32, _I32_CONST, _END = 0x7F, 0x41, 0x0B
_PAGE_BYTES = 64 << 10
_HEADER_BYTES = 16  # zeros that are fewer than the header of a segment takes are part of the segment
_NOT_ZERO = re.compile(rb"[^\0](?:[^\0]|\0{1,%d}(?=[^\0]))*" % _HEADER_BYTES)


def with_state(binary: bytes, memory: bytes, globals_: Mapping[str, int], dropped_exports: set[str]) -> bytes:
    """Return `binary` with `memory` as its initial memory and `globals_` (i32, by export name) as their initial values.

    `dropped_exports` are removed, with the start function and all custom sections.
    """
    sections = dict(read_sections(binary))
    imported_globals = sum(1 for kind in _import_kinds(sections.get(_IMPORT, b"\0")) if kind == _GLOBAL_KIND)
    exports = list(_read_exports(sections[_EXPORT]))
    values = {
        index - imported_globals: globals_[name]
        for name, kind, index in exports
        if kind == _GLOBAL_KIND and name in globals_
    }
    sections[MEMORY] = b"\x01\0" + encode_u32(len(memory) // _PAGE_BYTES)
    sections[_GLOBAL] = _with_values(sections[_GLOBAL], values)
    kept = [export for export in exports if export[0] not in dropped_exports]
    sections[_EXPORT] = encode_u32(len(kept)) + b"".join(
        encode_name(name) + bytes((kind,)) + encode_u32(index) for name, kind, index in kept
    )
    sections[DATA] = _data_section(memory)
    for dropped in (CUSTOM, _START, _DATA_COUNT):
        sections.pop(dropped, None)
    return MAGIC + b"".join(write_section(identifier, content) for identifier, content in sections.items())


_FUNCTION_KIND, _TABLE_KIND, _MEMORY_KIND, _GLOBAL_KIND = range(4)


def _import_kinds(content: bytes) -> Iterator[int]:
    reader = Reader(content)
    for _ in range(reader.u32()):
        reader.name(), reader.name()
        kind = reader.byte()
        yield kind
        if kind != _FUNCTION_KIND:
            raise ValueError("engines import functions only")
        reader.u32()


def _read_exports(content: bytes) -> Iterator[tuple[str, int, int]]:
    reader = Reader(content)
    for _ in range(reader.u32()):
        yield reader.name().decode(), reader.byte(), reader.u32()


def _with_values(content: bytes, values: Mapping[int, int]) -> bytes:
    """Return the section of globals with `values` by index. All globals are i32 with a constant value."""
    reader = Reader(content)
    count = reader.u32()
    written = bytearray(encode_u32(count))
    for number in range(count):
        kind, mutable, opcode = reader.byte(), reader.byte(), reader.byte()
        if (kind, opcode) != (_I32, _I32_CONST):
            raise ValueError(f"global {number} is not an i32 with a constant value")
        value = values.get(number, reader.address())
        if reader.byte() != _END:
            raise ValueError(f"global {number} has not a constant value")
        written += bytes((_I32, mutable, _I32_CONST)) + encode_address(value) + bytes((_END,))
    return bytes(written)


def _data_section(memory: bytes) -> bytes:
    segments = bytearray()
    count = 0
    for match in _NOT_ZERO.finditer(memory):
        segments += bytes((0, _I32_CONST)) + encode_address(match.start()) + bytes((_END,))
        segments += encode_u32(len(match[0])) + match[0]
        count += 1
    return encode_u32(count) + bytes(segments)

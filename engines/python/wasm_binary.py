"""Core WebAssembly modules, as far as linking needs them: imports, exports, globals and constant expressions.

Without validation: the modules come from pinned packages. https://webassembly.github.io/spec/core/binary/modules.html
"""

from collections.abc import Iterable, Mapping

import msgspec

from faas.runtime.images.binary_format import (
    CUSTOM,
    DATA,
    MAGIC,
    Reader,
    encode_address,
    encode_name,
    encode_u32,
    read_sections,
    write_section,
)

__all__ = ["CUSTOM", "DATA", "MAGIC", "Reader", "encode_u32", "read_sections"]

TYPE, IMPORT, FUNCTION, GLOBAL, EXPORT, ELEMENT = 1, 2, 3, 6, 7, 9
FUNCTION_KIND, TABLE_KIND, MEMORY_KIND, GLOBAL_KIND = range(4)
_VALUE_TYPES = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64"}
_FUNCTION_TYPE = 0x60
_END, _GLOBAL_GET, _I32_CONST, _I32_ADD = 0x0B, 0x23, 0x41, 0x6A
_ACTIVE, _PASSIVE = 0, 1  # kinds of segments
_U32 = 0xFFFF_FFFF


class Import(msgspec.Struct, frozen=True):
    """An import. `type` is its type as encoded bytes, after the byte of its kind."""

    module: str
    name: str
    kind: int
    type: bytes


class Export(msgspec.Struct, frozen=True):
    """An export: its kind, and its index in the index space of that kind."""

    name: str
    kind: int
    index: int


class Global(msgspec.Struct, frozen=True):
    """A global that the module defines. `initial` are the 32 bits of its initial value."""

    type: int
    mutable: bool
    initial: int


class Module:
    """A module. `known` are the values of its imported globals, by name, that constant expressions may refer to."""

    def __init__(self, binary: bytes, known: Mapping[str, int] | None = None) -> None:
        self.sections = list(read_sections(binary))
        self.imports = self._read_imports()
        imported = [item.name for item in self.imports if item.kind == GLOBAL_KIND]
        self._values = {index: known[name] for index, name in enumerate(imported) if known and name in known}
        self.globals = self._read_globals(len(imported))

    def section(self, wanted: int) -> bytes:
        """Return the content of a section; where there is none, that of an empty one."""
        return next((content for found, content in self.sections if found == wanted), b"\0")

    def custom_section(self, name: str) -> bytes | None:
        """Return the content of a custom section, or None."""
        for found, content in self.sections:
            reader = Reader(content)
            if found == CUSTOM and reader.name() == name.encode():
                return content[reader.position :]
        return None

    @property
    def exports(self) -> list[Export]:
        """The exports."""
        reader = Reader(self.section(EXPORT))
        return [Export(reader.name().decode(), reader.byte(), reader.u32()) for _ in range(reader.u32())]

    @property
    def function_exports(self) -> dict[str, int]:
        """The indices of the exported functions, by name."""
        return {export.name: export.index for export in self.exports if export.kind == FUNCTION_KIND}

    @property
    def data_symbols(self) -> dict[str, int]:
        """The exported globals of a library for dynamic linking: offsets of data in its memory, by name."""
        imported = sum(item.kind == GLOBAL_KIND for item in self.imports)
        return {
            export.name: self.globals[export.index - imported].initial
            for export in self.exports
            if export.kind == GLOBAL_KIND
        }

    def signature(self, function: int) -> str:
        """Return the type of a function, by its index, in the text format."""
        imported = [item for item in self.imports if item.kind == FUNCTION_KIND]
        if function < len(imported):
            return self.signature_of(imported[function])
        reader = Reader(self.section(FUNCTION))
        indices = [reader.u32() for _ in range(reader.u32())]
        return self._types()[indices[function - len(imported)]]

    def signature_of(self, item: Import) -> str:
        """Return the type of an imported function in the text format."""
        return self._types()[Reader(item.type).u32()]

    def rewritten(self, imports: list[Import], exports: list[Export]) -> bytes:
        """Return the module with these imports and exports, every initial value and offset constant, and no names."""
        replaced = {
            IMPORT: _vector(
                encode_name(item.module) + encode_name(item.name) + bytes([item.kind]) + item.type for item in imports
            ),
            GLOBAL: _vector(bytes([item.type, item.mutable]) + _constant(item.initial) for item in self.globals),
            EXPORT: _vector(encode_name(item.name) + bytes([item.kind]) + encode_u32(item.index) for item in exports),
        }
        written = bytearray(MAGIC)
        for found, content in self.sections:
            if found == ELEMENT:
                written += write_section(found, self._elements(content))
            elif found == DATA:
                written += write_section(found, self._data(content))
            elif found != CUSTOM:
                written += write_section(found, replaced.get(found, content))
        return bytes(written)

    def _types(self) -> list[str]:
        reader = Reader(self.section(TYPE))
        types = []
        for _ in range(reader.u32()):
            if reader.byte() != _FUNCTION_TYPE:
                raise ValueError("a type that is not a function type")
            parameters = [_VALUE_TYPES[byte] for byte in reader.take(reader.u32())]
            results = [_VALUE_TYPES[byte] for byte in reader.take(reader.u32())]
            types.append(f"(param {' '.join(parameters)}) (result {' '.join(results)})")
        return types

    def _read_imports(self) -> list[Import]:
        content = self.section(IMPORT)
        reader = Reader(content)
        found = []
        for _ in range(reader.u32()):
            provider, name, kind, start = reader.name().decode(), reader.name().decode(), reader.byte(), reader.position
            if kind == FUNCTION_KIND:
                reader.u32()
            elif kind == GLOBAL_KIND:
                reader.take(2)
            else:
                if kind == TABLE_KIND:
                    reader.byte()
                has_maximum = reader.byte() & 1
                reader.u32()
                if has_maximum:
                    reader.u32()
            found.append(Import(provider, name, kind, content[start : reader.position]))
        return found

    def _read_globals(self, imported: int) -> list[Global]:
        reader = Reader(self.section(GLOBAL))
        found = []
        for number in range(reader.u32()):
            item = Global(reader.byte(), bool(reader.byte()), self._evaluate(reader))
            self._values[imported + number] = item.initial
            found.append(item)
        return found

    def _evaluate(self, reader: Reader) -> int:
        """Return the 32 bits of the constant expression that `reader` is at. Raises KeyError for an unknown global."""
        stack: list[int] = []
        while (opcode := reader.byte()) != _END:
            if opcode == _I32_CONST:
                stack.append(reader.address())
            elif opcode == _GLOBAL_GET:
                stack.append(self._values[reader.u32()])
            elif opcode == _I32_ADD:
                stack.append(stack.pop() + stack.pop() & _U32)
            else:
                raise ValueError(f"instruction {opcode:#x} in a constant expression")
        return stack.pop()

    def _elements(self, content: bytes) -> bytes:
        reader = Reader(content)
        segments = []
        for _ in range(reader.u32()):
            if reader.u32() != _ACTIVE:
                raise ValueError("an element segment that is not a plain active one")
            offset = _constant(self._evaluate(reader))
            functions = _vector(encode_u32(reader.u32()) for _ in range(reader.u32()))
            segments.append(encode_u32(_ACTIVE) + offset + functions)
        return _vector(segments)

    def _data(self, content: bytes) -> bytes:
        reader = Reader(content)
        segments = []
        for _ in range(reader.u32()):
            kind = reader.u32()
            if kind not in {_ACTIVE, _PASSIVE}:
                raise ValueError("a data segment of another memory")
            offset = _constant(self._evaluate(reader)) if kind == _ACTIVE else b""
            size = reader.u32()
            segments.append(encode_u32(kind) + offset + encode_u32(size) + reader.take(size))
        return _vector(segments)


def _constant(value: int) -> bytes:
    return bytes([_I32_CONST]) + encode_address(value) + bytes([_END])


def _vector(items: Iterable[bytes]) -> bytes:
    encoded = list(items)
    return encode_u32(len(encoded)) + b"".join(encoded)

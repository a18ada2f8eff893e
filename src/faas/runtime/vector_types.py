"""Finds exported and imported functions that take or return vectors (v128).

wasmtime's C API ends the process when it is asked for such a type ("support for v128 is not implemented", 50.0.1), so
these modules must be refused before the types of their exports and imports are read. Vectors inside a module are no
problem.
"""

from collections.abc import Iterator

from faas.runtime.images.binary_format import MalformedModule, Reader, read_sections

_TYPES, _IMPORTS, _FUNCTIONS, _EXPORTS = 1, 2, 3, 7  # section ids
_FUNCTION, _TABLE, _MEMORY, _GLOBAL = 0, 1, 2, 3  # kinds of imports and exports
_FUNCTION_TYPE, _V128 = 0x60, 0x7B
_HAS_MAXIMUM = 1


def passes_vectors(binary: bytes) -> bool:
    """Return True if a function that `binary` exports or imports takes or returns a vector.

    False for what is malformed or uses features that are off: wasmtime refuses it.
    """
    try:
        sections = {identifier: content for identifier, content in read_sections(binary) if identifier}
        with_vectors = list(_types(Reader(sections.get(_TYPES, b"\0"))))
        imported = list(_imported_functions(Reader(sections.get(_IMPORTS, b"\0"))))
        defined = Reader(sections.get(_FUNCTIONS, b"\0"))
        functions = [*imported, *(defined.u32() for _ in range(defined.u32()))]
        exported = [functions[index] for index in _exported_functions(Reader(sections.get(_EXPORTS, b"\0")))]
        return any(with_vectors[index] for index in (*imported, *exported))
    except (MalformedModule, IndexError):
        return False


def _types(reader: Reader) -> Iterator[bool]:
    """For each type of a function: does it have a vector?"""
    for _ in range(reader.u32()):
        if reader.byte() != _FUNCTION_TYPE:
            raise MalformedModule("a type is not of a function")
        parameters = reader.take(reader.u32())
        yield _V128 in parameters + reader.take(reader.u32())


def _imported_functions(reader: Reader) -> Iterator[int]:
    """Return the type of each imported function."""
    for _ in range(reader.u32()):
        reader.name(), reader.name()
        match reader.byte():
            case kind if kind == _FUNCTION:
                yield reader.u32()
            case kind if kind == _GLOBAL:
                reader.take(2)
            case kind if kind in (_TABLE, _MEMORY):
                if kind == _TABLE:
                    reader.byte()
                has_maximum = reader.u32() & _HAS_MAXIMUM
                for _ in range(2 if has_maximum else 1):
                    reader.u32()
            case _:
                raise MalformedModule("an import is of an unknown kind")


def _exported_functions(reader: Reader) -> Iterator[int]:
    """Return the index of each exported function."""
    for _ in range(reader.u32()):
        reader.name()
        kind, index = reader.byte(), reader.u32()
        if kind == _FUNCTION:
            yield index

"""Finds state of an instance that is neither in its memory nor in a global that it exports.

An instance of an engine is restored by writing its memory and its exported globals. That is all of its state if every
mutable global is exported, no instruction changes a table, and no instruction drops a segment or reads from one that
can be dropped (https://webassembly.github.io/spec/core/exec/runtime.html#store).
"""

import re
from collections.abc import Iterator

from faas.runtime.images.binary_format import MalformedModule, Reader, read_sections

_IMPORTS, _GLOBALS, _EXPORTS, _CODE = 2, 6, 7, 10  # section ids
_FUNCTION, _GLOBAL = 0, 3  # kinds of imports and exports
_BR_TABLE = 0x0E

# Every instruction but br_table that keeps all state in memory and globals. What is missing: table.set, table.init,
# table.copy, table.grow, table.fill, elem.drop, memory.init and data.drop, and what the engine's features exclude.
_LEB = rb"[\x80-\xff]*+[\x00-\x7f]"
_SIMD = rb"""\xfd(?:
    [\x00-\x0b\x5c\x5d] LEB LEB         # loads and stores
  | [\x0c\x0d] .{16}                    # a constant, shuffle
  | [\x15-\x22] .                       # lanes
  | [\x54-\x5b] LEB LEB .               # loads and stores of lanes
  | [\x0e-\x14\x23-\x53\x5e-\x7f] | [\x80-\xff] [\x01\x02]
)"""
_INSTRUCTIONS = re.compile(
    rb"""(?:
    [\x00\x01\x05\x0b\x0f\x1a\x1b\x45-\xc4\xd1]
  | [\x02-\x04\x0c\x0d\x10\x12\x20-\x25\x3f-\x42\xd0\xd2] LEB
  | [\x11\x13\x28-\x3e] LEB LEB
  | \x43 .{4} | \x44 .{8} | \x1c \x01 .
  | \xfc (?: [\x00-\x07] | \x0a .. | \x0b . | \x10 LEB )
  | SIMD
)*+""".replace(b"SIMD", _SIMD).replace(b"LEB", _LEB),
    re.DOTALL | re.VERBOSE,
)


def hidden_state(binary: bytes) -> str | None:
    """Return what state an instance of the module `binary` may have beside its memory and exported globals, or None.

    The module must be valid. Takes about a second for 20 MB of code.
    """
    try:
        sections = {identifier: content for identifier, content in read_sections(binary) if identifier}
        if any(kind != _FUNCTION for kind in _import_kinds(Reader(sections.get(_IMPORTS, b"\0")))):
            return "it imports more than functions"
        mutable = set(_mutable_globals(Reader(sections.get(_GLOBALS, b"\0"))))
        hidden = mutable - set(_exported_globals(Reader(sections.get(_EXPORTS, b"\0"))))
        if hidden:
            return f"it does not export its mutable globals {', '.join(map(str, sorted(hidden)[:10]))}"
        for number, body in enumerate(_bodies(Reader(sections.get(_CODE, b"\0")))):
            position = _end_of_allowed(body)
            if position < len(body):
                shown = body[position : position + 2].hex()
                return f"function {number}, not counting imports, has the instruction {shown}"
    except MalformedModule as error:
        return f"it is malformed: {error}"
    return None


def _end_of_allowed(body: bytes) -> int:
    """Return where the first instruction is that is not allowed; the length of `body` when there is none."""
    reader = Reader(body)
    for _ in range(reader.u32()):  # groups of locals: how many, and their type
        reader.u32(), reader.byte()
    position = reader.position
    while True:
        match = _INSTRUCTIONS.match(body, position)
        position = match.end() if match else position
        if position >= len(body) or body[position] != _BR_TABLE:
            return position
        reader.position = position + 1
        for _ in range(reader.u32() + 1):
            reader.u32()
        position = reader.position


def _bodies(reader: Reader) -> Iterator[bytes]:
    for _ in range(reader.u32()):
        yield reader.take(reader.u32())


def _import_kinds(reader: Reader) -> Iterator[int]:
    for _ in range(reader.u32()):
        reader.name(), reader.name()
        kind = reader.byte()
        yield kind
        if kind != _FUNCTION:
            return  # what follows is of no interest then
        reader.u32()


def _mutable_globals(reader: Reader) -> Iterator[int]:
    """Return the index of each mutable global. None is imported."""
    for number in range(reader.u32()):
        reader.byte()
        if reader.byte():
            yield number
        _skip_initializer(reader)


def _skip_initializer(reader: Reader) -> None:
    """Read a constant expression of one constant, global or reference, with its end."""
    match opcode := reader.byte():
        case 0x41 | 0x42 | 0x23 | 0xD0 | 0xD2:
            while reader.byte() & 0x80:
                pass
        case 0x43 | 0x44:
            reader.take(4 if opcode == 0x43 else 8)
        case _:
            raise MalformedModule(f"a global begins with the instruction {opcode:#x}")
    if reader.byte() != 0x0B:
        raise MalformedModule("a global is initialized by more than one instruction")


def _exported_globals(reader: Reader) -> Iterator[int]:
    for _ in range(reader.u32()):
        reader.name()
        kind, index = reader.byte(), reader.u32()
        if kind == _GLOBAL:
            yield index

"""The binary format of modules, as far as image modules need it: sections, names and LEB128 numbers.

Source: https://webassembly.github.io/spec/core/binary/. Numbers are written in as few bytes as possible.
"""

from collections.abc import Iterator

CUSTOM, MEMORY, DATA = 0, 5, 11  # section ids
MAGIC = b"\0asm\x01\0\0\0"
U32_MAX = 0xFFFF_FFFF
_U32_BYTES = 5  # of the longest encoding


class MalformedModule(ValueError):
    """Raised when bytes are not in the binary format. The message says what is wrong."""


class Reader:
    """A position in `content`. Raises MalformedModule at its end, and for numbers of more than 32 bits."""

    def __init__(self, content: bytes, position: int = 0) -> None:
        self._content = content
        self.position = position

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        end = self.position + size
        if end > len(self._content):
            raise MalformedModule("it ends too early")
        taken = self._content[self.position : end]
        self.position = end
        return taken

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def u32(self) -> int:
        """Return the next unsigned LEB128 number."""
        value = 0
        for number in range(_U32_BYTES):
            byte = self.byte()
            value |= (byte & 0x7F) << 7 * number
            if byte < 0x80:
                break
        else:
            raise MalformedModule("a number is longer than 5 bytes")
        if value > U32_MAX:
            raise MalformedModule("a number has more than 32 bits")
        return value

    def address(self) -> int:
        """Return the operand of i32.const as an unsigned number."""
        value = shift = 0
        for _ in range(_U32_BYTES):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (value - (1 << shift) if byte & 0x40 else value) & U32_MAX
        raise MalformedModule("a number is longer than 5 bytes")

    def name(self) -> bytes:
        """Return the next bytes whose length stands before them."""
        return self.take(self.u32())

    @property
    def at_end(self) -> bool:
        """True if everything was read."""
        return self.position == len(self._content)


def read_sections(binary: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the id and the content of each section of a module. Raises MalformedModule."""
    if not binary.startswith(MAGIC):
        raise MalformedModule("it does not begin with the bytes of a module, \\0asm and version 1")
    reader = Reader(binary, len(MAGIC))
    while not reader.at_end:
        identifier = reader.byte()
        yield identifier, reader.take(reader.u32())


def write_section(identifier: int, content: bytes) -> bytes:
    """Return the section with this id and content."""
    return bytes((identifier,)) + encode_u32(len(content)) + content


def encode_name(name: str) -> bytes:
    """Return `name` with its length before it."""
    encoded = name.encode()
    return encode_u32(len(encoded)) + encoded


def encode_u32(value: int) -> bytes:
    """Return `value` as an unsigned LEB128 number."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_address(address: int) -> bytes:
    """Return `address` as the operand of i32.const, which is signed."""
    value = address if address <= U32_MAX >> 1 else address - U32_MAX - 1
    encoded = bytearray()
    while not -0x40 <= value < 0x40:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value & 0x7F)
    return bytes(encoded)

"""Writes and reads image modules. The format is described in the docstring of the package."""

from collections.abc import Iterator

import msgspec

from faas.runtime.images.binary_format import (
    CUSTOM,
    DATA,
    MAGIC,
    MEMORY,
    MalformedModule,
    Reader,
    encode_address,
    encode_name,
    encode_u32,
    read_sections,
    write_section,
)
from faas.runtime.images.image import MAX_GLOBAL_VALUE, WASM_PAGE_BYTES, Contract, Image, ImageError, Segment, check

ENGINE_SECTION, GLOBALS_SECTION, CONTRACT_SECTION = "faas.engine", "faas.globals", "faas.contract"

_I32_CONST, _END = 0x41, 0x0B


def carries_engine(binary: bytes) -> bool:
    """Return True if `binary` has a custom section `faas.engine`. Modules of authors must not have one.

    After a section that is longer than the module, nothing is looked for: wasmtime refuses such a module.
    """
    return engine_of(binary) is not None


def engine_of(binary: bytes) -> bytes | None:
    """Return the digest of the engine that the image `binary` needs, or None where it is no image.

    The digest is what the custom section `faas.engine` contains, of a valid image 32 bytes.
    """
    try:
        for identifier, content in read_sections(binary):
            if identifier == CUSTOM and _is_custom(content, ENGINE_SECTION):
                return _custom(content, ENGINE_SECTION)
    except MalformedModule:
        pass
    return None


def initial_memory_bytes(engine: bytes) -> int:
    """Return the size of the memory with which an instance of the engine module starts. Raises MalformedModule."""
    for identifier, content in read_sections(engine):
        if identifier == MEMORY:
            reader = Reader(content)
            reader.take(2)  # the number of memories, and the flags of the first one
            return reader.u32() * WASM_PAGE_BYTES
    raise MalformedModule("it has no memory")


def build(image: Image) -> bytes:
    """Return the image module of `image`. Raises ImageError when it is not valid."""
    check(image)
    segments = bytearray(encode_u32(len(image.segments)))
    for segment in image.segments:
        segments += bytes((0, _I32_CONST)) + encode_address(segment.offset) + bytes((_END,))
        segments += encode_u32(len(segment.data)) + segment.data
    values = {name: str(image.globals[name]) for name in sorted(image.globals)}
    return b"".join(
        (
            MAGIC,
            write_section(MEMORY, b"\x01\0" + encode_u32(image.pages)),
            write_section(DATA, bytes(segments)),
            write_section(CUSTOM, encode_name(ENGINE_SECTION) + image.engine),
            write_section(CUSTOM, encode_name(GLOBALS_SECTION) + msgspec.json.encode(values)),
            write_section(CUSTOM, encode_name(CONTRACT_SECTION) + image.contract.encode()),
        )
    )


def parse(binary: bytes) -> Image:
    """Return the image that `binary` contains. Raises ImageError when it is not exactly what `build` writes."""
    try:
        image = _parse(binary)
    except MalformedModule as error:
        raise ImageError(str(error)) from None
    if build(image) != binary:
        raise ImageError("its encoding is not the one that the platform writes")
    return image


def _parse(binary: bytes) -> Image:
    sections = list(read_sections(binary))
    if [identifier for identifier, _ in sections] != [MEMORY, DATA, CUSTOM, CUSTOM, CUSTOM]:
        raise ImageError("its sections are not one memory, data, and three custom sections")
    memory, data, *custom = (content for _, content in sections)
    return Image(
        engine=_custom(custom[0], ENGINE_SECTION),
        pages=_parse_memory(memory),
        segments=tuple(_parse_segments(data)),
        globals=_parse_globals(_custom(custom[1], GLOBALS_SECTION)),
        contract=_parse_contract(_custom(custom[2], CONTRACT_SECTION)),
    )


def _is_custom(content: bytes, name: str) -> bool:
    try:
        return Reader(content).name() == name.encode()
    except MalformedModule:
        return False


def _custom(content: bytes, expected: str) -> bytes:
    reader = Reader(content)
    name = reader.name()
    if name != expected.encode():
        raise ImageError(f"the custom section {name[:40]!r} stands where {expected} is needed")
    return content[reader.position :]


def _parse_memory(content: bytes) -> int:
    reader = Reader(content)
    if reader.take(2) != b"\x01\0":
        raise ImageError("it has not exactly one memory of 32 bits without a maximum")
    pages = reader.u32()
    if not reader.at_end:
        raise ImageError("the memory section is too long")
    return pages


def _parse_segments(content: bytes) -> Iterator[Segment]:
    reader = Reader(content)
    for _ in range(reader.u32()):  # ends with the content at the latest: a segment has at least 5 bytes
        if reader.byte() or reader.byte() != _I32_CONST:
            raise ImageError("a segment is not active at a constant address of memory 0")
        offset = reader.address()
        if reader.byte() != _END:
            raise ImageError("a segment is not active at a constant address of memory 0")
        yield Segment(offset, reader.name())
    if not reader.at_end:
        raise ImageError("the data section is too long")


def _parse_globals(content: bytes) -> dict[str, int]:
    try:
        texts = msgspec.json.decode(content, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ImageError(f"{GLOBALS_SECTION} is not a JSON object of strings: {error}") from None
    for name, text in texts.items():
        # The length first: int() refuses thousands of digits with another error.
        if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_GLOBAL_VALUE))):
            raise ImageError(f"the value of the global {name[:40]!r} is not an unsigned decimal number")
    return {name: int(text) for name, text in texts.items()}


def _parse_contract(content: bytes) -> Contract:
    if content == b"json":
        return "json"
    if content == b"lambda":
        return "lambda"
    if content == b"fetch":
        return "fetch"
    raise ImageError(f"{CONTRACT_SECTION} is {content[:40]!r}, accepted are json, lambda, fetch")

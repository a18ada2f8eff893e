"""A function of an engine, as data: what an image module contains."""

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

WASM_PAGE_BYTES = 64 << 10
MAX_PAGES = 65_536  # of a 32-bit memory
MAX_GLOBALS = 64
DIGEST_BYTES = 32
MAX_GLOBAL_VALUE = 0xFFFF_FFFF_FFFF_FFFF

Contract = Literal["json", "lambda", "fetch"]


class ImageError(ValueError):
    """Raised when bytes are not an image module. The message says what is wrong."""


class Segment(msgspec.Struct, frozen=True):
    """The bytes `data` at the address `offset`."""

    offset: int
    data: bytes


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A function of an engine.

    engine: the SHA-256 digest of the engine module. pages: of the memory at the snapshot, 64 KiB each. segments:
    ascending, neither empty nor touching, inside the memory. globals: the exported mutable globals of the engine, as
    unsigned integers (an i32 of -1 is 4294967295, a float is its bits). contract: how the function is called.
    """

    engine: bytes
    pages: int
    segments: tuple[Segment, ...]
    globals: Mapping[str, int]
    contract: Contract


def check(image: Image) -> None:
    """Raise ImageError where `image` is not as its docstring says."""
    if len(image.engine) != DIGEST_BYTES:
        raise ImageError(f"the engine's digest has {len(image.engine)} bytes, needed are {DIGEST_BYTES}")
    if not 0 < image.pages <= MAX_PAGES:
        raise ImageError(f"the memory has {image.pages} pages, accepted are 1 to {MAX_PAGES}")
    free = -1  # the first address that the next segment may have; segments must not touch
    for segment in image.segments:
        if not segment.data or segment.offset <= free:
            raise ImageError(f"the segment at {segment.offset} is empty, or touches the one before it")
        free = segment.offset + len(segment.data)
    if free > image.pages * WASM_PAGE_BYTES:
        raise ImageError(f"a segment ends at {free}, outside the memory of {image.pages} pages")
    if len(image.globals) > MAX_GLOBALS:
        raise ImageError(f"there are {len(image.globals)} globals, accepted are {MAX_GLOBALS}")
    for name, value in image.globals.items():
        if not 0 <= value <= MAX_GLOBAL_VALUE:
            raise ImageError(f"the value of the global {name} is not an unsigned integer of 64 bits")
    if image.contract not in get_args(Contract):
        raise ImageError(f"the contract is {image.contract[:40]!r}, accepted are {', '.join(get_args(Contract))}")

"""The difference between the memory of an engine and a snapshot of it."""

from collections.abc import Iterator

from faas.runtime.images.image import WASM_PAGE_BYTES, ImageError, Segment

_PAGE_BYTES = 4096  # differences are looked for in pages, then in chunks: most pages are equal
_CHUNK_BYTES = 64
_MERGE_BYTES = 16  # segments that are this close are one segment: the header of another one costs about as much


def difference(before: bytes | memoryview, after: bytes | memoryview) -> tuple[Segment, ...]:
    """Return the segments that turn the memory `before` into `after`, which may be longer: new memory is zero.

    Raises ImageError when `after` is shorter, because a memory does not shrink.
    """
    if len(after) < len(before):
        raise ImageError(f"the snapshot has {len(after)} bytes, fewer than the engine's memory of {len(before)}")
    old, new = memoryview(before), memoryview(after)
    found: list[tuple[int, int]] = []
    for start, end in _different(old, new):
        if found and start - found[-1][1] <= _MERGE_BYTES:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(Segment(start, bytes(new[start:end])) for start, end in found)


def _different(old: memoryview, new: memoryview) -> Iterator[tuple[int, int]]:
    """Return the ranges that differ, at most one in each _CHUNK_BYTES."""
    zeros = memoryview(bytes(WASM_PAGE_BYTES))
    for page in range(0, len(new), WASM_PAGE_BYTES):
        was = old[page : page + WASM_PAGE_BYTES] if page < len(old) else zeros
        now = new[page : page + WASM_PAGE_BYTES]
        for part in _unequal_parts(was, now, WASM_PAGE_BYTES, _PAGE_BYTES):
            for chunk in _unequal_parts(was, now, _PAGE_BYTES, _CHUNK_BYTES, part):
                end = chunk + _CHUNK_BYTES
                bits = int.from_bytes(now[chunk:end], "little") ^ int.from_bytes(was[chunk:end], "little")
                first, last = (bits & -bits).bit_length() - 1, bits.bit_length() - 1
                yield page + chunk + first // 8, page + chunk + last // 8 + 1


def _unequal_parts(was: memoryview, now: memoryview, size: int, step: int, start: int = 0) -> Iterator[int]:
    """Return where the parts of `step` bytes begin that differ, among the `size` bytes from `start`."""
    if was[start : start + size] != now[start : start + size]:
        for part in range(start, start + size, step):
            if was[part : part + step] != now[part : part + step]:
                yield part

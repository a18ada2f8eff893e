"""The difference between the memory of an engine and a snapshot of it."""

from collections.abc import Iterator, Mapping

from faas.runtime.images.image import Segment

PAGE_BYTES = 4096  # of a snapshot: its pages that differ are compared in chunks, of which most are equal
_CHUNK_BYTES = 64
_MERGE_BYTES = 16  # segments that are this close are one segment: the header of another one costs about as much


def difference(before: bytes, pages: Mapping[int, bytes]) -> tuple[Segment, ...]:
    """Return the segments that turn the memory `before` into a snapshot.

    `pages` are those of the snapshot that may differ, by address, in ascending order. Memory that `before` does not
    have is zero.
    """
    found: list[tuple[int, int]] = []
    for start, end in _different(before, pages):
        if found and start - found[-1][1] <= _MERGE_BYTES:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(Segment(start, _content(before, pages, start, end)) for start, end in found)


def _different(before: bytes, pages: Mapping[int, bytes]) -> Iterator[tuple[int, int]]:
    """Return the ranges that differ, at most one in each _CHUNK_BYTES."""
    zeros = bytes(PAGE_BYTES)
    for address, now in pages.items():
        was = before[address : address + PAGE_BYTES] or zeros
        if was == now:
            continue
        for chunk in range(0, PAGE_BYTES, _CHUNK_BYTES):
            end = chunk + _CHUNK_BYTES
            if was[chunk:end] != now[chunk:end]:
                bits = int.from_bytes(now[chunk:end], "little") ^ int.from_bytes(was[chunk:end], "little")
                first, last = (bits & -bits).bit_length() - 1, bits.bit_length() - 1
                yield address + chunk + first // 8, address + chunk + last // 8 + 1


def _content(before: bytes, pages: Mapping[int, bytes], start: int, end: int) -> bytes:
    """Return this range of the snapshot."""
    content = bytearray()
    while start < end:
        address = start - start % PAGE_BYTES
        page = pages.get(address) or before[address : address + PAGE_BYTES]
        content += page[start - address : end - address]
        start = address + PAGE_BYTES
    return bytes(content)

"""The difference of two memories, applied to the first, is the second."""

import random

from faas.runtime.images import PAGE_BYTES, WASM_PAGE_BYTES, Segment, difference
from tests.helpers.engines import pages_of


def test_difference_applied_to_the_memory_is_the_snapshot() -> None:
    chooser = random.Random(15)
    for _ in range(30):
        before = bytearray(2 * WASM_PAGE_BYTES)
        before[100:5000] = chooser.randbytes(4900)
        after = before + bytes(chooser.randrange(2) * WASM_PAGE_BYTES)
        for _ in range(chooser.randrange(60)):
            start = chooser.randrange(len(after) - 300)
            after[start : start + 300] = chooser.choice([bytes(300), chooser.randbytes(300)])
        segments = difference(bytes(before), pages_of(after))
        memory = before + bytes(len(after) - len(before))
        free = -1
        for segment in segments:
            assert segment.data
            assert segment.offset > free
            free = segment.offset + len(segment.data)
            memory[segment.offset : free] = segment.data
        assert memory == after


def test_difference_has_only_what_differs() -> None:
    before = bytes(WASM_PAGE_BYTES)
    after = bytearray(2 * WASM_PAGE_BYTES)
    after[255:257] = b"ab"  # over the border of two chunks
    after[1000], after[1030], after[1100] = 1, 2, 3
    after[-1] = 4
    assert difference(before, pages_of(after)) == (
        Segment(255, b"ab"),
        Segment(1000, b"\1"),
        Segment(1030, b"\2"),
        Segment(1100, b"\3"),
        Segment(2 * WASM_PAGE_BYTES - 1, b"\4"),
    )


def test_difference_of_equal_memories_is_empty() -> None:
    assert difference(bytes(WASM_PAGE_BYTES), pages_of(bytes(2 * WASM_PAGE_BYTES))) == ()


def test_difference_of_some_pages_joins_what_is_close_across_their_border() -> None:
    before = bytes(range(256)) * 256
    after = bytearray(before)
    after[2 * PAGE_BYTES - 3], after[2 * PAGE_BYTES + 4] = 7, 8
    pages = {address: page for address, page in pages_of(after).items() if address in (PAGE_BYTES, 2 * PAGE_BYTES)}
    joined = bytes(after[2 * PAGE_BYTES - 3 : 2 * PAGE_BYTES + 5])
    assert difference(before, pages) == (Segment(2 * PAGE_BYTES - 3, joined),)

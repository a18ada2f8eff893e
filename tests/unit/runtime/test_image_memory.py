"""The memory of an image: long runs that hold the engine's bytes between the segments."""

from faas.runtime.c_api import ffi
from faas.runtime.image_memory import ImageMemory
from faas.runtime.images import Segment


def test_image_memory_joins_segments_that_are_close() -> None:
    engine = bytes(range(256)) * 64
    segments = (Segment(10, b"first"), Segment(500, b"second"), Segment(12_000, b"third"))
    memory = ImageMemory(segments, ffi.from_buffer(engine), len(engine))
    assert [(start, size) for start, size, _ in memory.runs] == [(10, 496), (12_000, 5)]
    assert memory.size == 501
    expected = bytearray(engine)
    for segment in segments:
        expected[segment.offset : segment.offset + len(segment.data)] = segment.data
    written = ffi.from_buffer(bytearray(engine))
    memory.write(written)
    assert bytes(ffi.buffer(written)) == expected


def test_image_memory_is_zero_between_segments_beyond_the_memory_of_the_engine() -> None:
    engine = b"\xff" * 100
    memory = ImageMemory((Segment(90, b"a"), Segment(120, b"b"), Segment(200, b"c")), ffi.from_buffer(engine), 100)
    written = ffi.from_buffer(bytearray(300))
    memory.write(written)
    assert bytes(ffi.buffer(written)) == bytes(90) + b"a" + b"\xff" * 9 + bytes(20) + b"b" + bytes(79) + b"c" + bytes(
        99
    )
    assert len(memory.runs) == 1


def test_image_memory_may_be_empty() -> None:
    memory = ImageMemory((), ffi.from_buffer(b"\0" * 100), 100)
    assert (memory.runs, memory.size) == ([], 0)


def test_image_memory_within_a_range_is_cut_at_its_ends() -> None:
    engine = bytes(20_000)
    memory = ImageMemory((Segment(10, b"abcdef"), Segment(9000, b"ghi")), ffi.from_buffer(engine), len(engine))

    def within(start: int, end: int) -> list[tuple[int, bytes]]:
        return [(first, bytes(ffi.buffer(source, size))) for first, size, source in memory.within(start, end)]

    assert within(0, 20_000) == [(10, b"abcdef"), (9000, b"ghi")]
    assert within(12, 14) == [(12, b"cd")]
    assert within(14, 9001) == [(14, b"ef"), (9000, b"g")]
    assert within(0, 10) == within(16, 9000) == within(9003, 20_000) == []

"""The memory of an image, ready to be written into an instance of its engine."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from faas.runtime.c_api import ffi
from faas.runtime.images import Segment

# Between segments that are written as one run. A larger gap is a little faster in a fresh instance, and takes more
# memory: a function in JavaScript has 33 KiB with 512 bytes, and 100 KiB with 4096.
_RUN_GAP_BYTES = 512


class ImageMemory:
    """The bytes in which the memory of an image may differ from that of its engine, as a few long runs.

    Segments that are close are one run, with the engine's bytes between them. `runs` are (offset, size, source);
    `size` is that of all of them in bytes.
    """

    __slots__ = ("_content", "_ends", "runs", "size")

    def __init__(self, segments: Sequence[Segment], engine_memory: Any, engine_memory_size: int) -> None:
        content = bytearray()
        places: list[tuple[int, int, int]] = []
        for group in _close_together(segments):
            start, end = group[0].offset, group[-1].offset + len(group[-1].data)
            run = bytearray(end - start)  # memory that the engine does not have yet is zero
            if known := max(0, min(end, engine_memory_size) - start):
                run[:known] = ffi.buffer(engine_memory + start, known)[:]
            for segment in group:
                run[segment.offset - start : segment.offset - start + len(segment.data)] = segment.data
            places.append((start, len(run), len(content)))
            content += run
        self.size = len(content)
        self._content: Any = ffi.from_buffer(bytes(content))  # kept alive: the runs point into it
        self.runs = [(start, size, self._content + position) for start, size, position in places]
        self._ends = [start + size for start, size, _ in places]

    def within(self, start: int, end: int) -> Iterator[tuple[int, int, Any]]:
        """Return the parts of the runs that lie in this range, as (offset, size, source)."""
        for first, size, source in self.runs[bisect_left(self._ends, start) :]:
            if first >= end:
                break
            skipped = max(0, start - first)
            length = min(end, first + size) - first - skipped
            if length > 0:
                yield first + skipped, length, source + skipped

    def write(self, memory: Any) -> None:
        """Write the runs into the memory at `memory`, which is long enough."""
        memmove = ffi.memmove
        for start, size, source in self.runs:
            memmove(memory + start, source, size)


def _close_together(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Return the segments in groups without larger gaps than _RUN_GAP_BYTES."""
    group: list[Segment] = []
    end = 0
    for segment in segments:
        if group and segment.offset - end > _RUN_GAP_BYTES:
            yield group
            group = []
        group.append(segment)
        end = segment.offset + len(segment.data)
    if group:
        yield group

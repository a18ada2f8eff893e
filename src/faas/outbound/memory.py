"""Bounds what bodies of outbound requests and their answers take of the memory of the process."""

import threading

from faas.outbound.model import RequestFailed
from faas.units import format_size

MAX_HELD_BYTES = 256 << 20


class BodyMemory:
    """Counts the bytes of the bodies that all functions hold. Thread-safe."""

    def __init__(self, most: int = MAX_HELD_BYTES) -> None:
        self._most = most
        self._lock = threading.Lock()
        self.held = 0

    def change(self, size: int) -> None:
        """Count `size` bytes more, or fewer. Raises RequestFailed where that is more than there may be."""
        with self._lock:
            if size > 0 and self.held + size > self._most:
                raise RequestFailed(
                    f"the bodies of outbound requests take {format_size(self._most)} of this server already;"
                    " try again later"
                )
            self.held += size


class HeldBytes:
    """What one request holds: its own body, and that of its answer until the guest takes it. Thread-safe."""

    def __init__(self, memory: BodyMemory) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._size = 0
        self._released = False

    def add(self, size: int) -> None:
        """Hold `size` bytes more. Raises RequestFailed where the process holds too many."""
        with self._lock:
            if not self._released:
                self._memory.change(size)
                self._size += size

    def shrink(self, size: int) -> None:
        """Hold `size` bytes and no more: another answer follows, or another body."""
        with self._lock:
            self._shrink(size)

    def release(self) -> None:
        """Hold nothing from now on, also of an answer that is still being read."""
        with self._lock:
            self._released = True
            self._shrink(0)

    def _shrink(self, size: int) -> None:
        if self._size > size:
            self._memory.change(size - self._size)
            self._size = size

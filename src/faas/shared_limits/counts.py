"""Numbers of which each worker has its own, and that are limited or compared as a whole."""

import threading

from faas.shared_limits.locks import FileLock


class SharedCount:
    """How many of something all workers have at once, with a limit. `counts` has a number for each slot.

    Use from one thread. The sum of what was admitted never exceeds the limit. Far from it no lock is taken.
    """

    def __init__(self, counts: "memoryview[int]", slot: int, lock: FileLock) -> None:
        self._counts = counts
        self._slot = slot
        self._lock = lock
        self._fence = threading.Lock()

    @property
    def total(self) -> int:
        """What all workers have now."""
        return sum(self._counts)

    def enter(self, limit: int) -> bool:
        """Count one more, which `leave` takes back. Returns False, and counts nothing, if that exceeds `limit`."""
        if self._try(limit):
            return True
        # Two workers that count the last place at the same time both see too many. The lock lets one of them have it.
        with self._lock:
            return self._try(limit)

    def leave(self) -> None:
        """Take one back."""
        self._counts[self._slot] -= 1

    def _try(self, limit: int) -> bool:
        # First counted, then compared: of two workers at least the later one sees the number of the other.
        self._counts[self._slot] += 1
        with self._fence:  # an atomic instruction: without one, a processor may read before others see what it wrote
            pass
        if sum(self._counts) <= limit:
            return True
        self._counts[self._slot] -= 1
        return False


class SharedConnections:
    """How many connections each worker has, so that a new one goes to one that has few."""

    def __init__(self, numbers: "memoryview[int]", slot: int) -> None:
        self._numbers = numbers  # one more than the connections; 0 is a worker that takes none
        self._slot = slot

    def publish(self, connections: int) -> None:
        """Say how many connections this worker has, and that it takes more."""
        self._numbers[self._slot] = connections + 1

    def withdraw(self) -> None:
        """Say that this worker takes no more."""
        self._numbers[self._slot] = 0

    def has_least(self, connections: int) -> bool:
        """Return whether no worker that takes connections has fewer than `connections`."""
        return all(not number or number > connections for number in self._numbers)

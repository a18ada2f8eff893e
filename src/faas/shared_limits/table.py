"""A table in shared memory: for each key a time, and a count for each worker.

A key has its place in one of many sets of 16 entries, by its hash, and each set has a lock of its own. An entry is free
again when its time has passed and its counts are 0. In a full set a key takes the place of the one whose time passes
first, but never of one that is counted.
"""

import hashlib
from types import TracebackType

from faas.shared_limits.locks import FileLock

WAYS = 16  # entries of a set
_KEY_BYTES = 16
_NO_KEY = bytes(_KEY_BYTES)


class TableLayout:
    """Where the parts of a table with `sets` sets are, from `start` on; with a count for each of `slots` slots."""

    def __init__(self, start: int, sets: int, slots: int) -> None:
        self.start, self.sets, self.slots = start, sets, slots
        entries = sets * WAYS
        self.times = start
        self.keys = self.times + entries * 8
        self.counts = self.keys + entries * _KEY_BYTES
        self.end = self.counts + slots * entries * 8


class UsageTable:
    """The table of `layout` in `memory`, which the worker of `slot` uses, from one thread.

    `descriptor` is the file of the memory, for the locks; `seed` keeps those who choose keys from choosing their sets.
    """

    def __init__(
        self, memory: "memoryview[int]", layout: TableLayout, *, descriptor: int, slot: int, seed: bytes
    ) -> None:
        self._descriptor, self._seed, self._slot = descriptor, seed, slot
        self._layout = layout
        self._times = memory[layout.times : layout.keys].cast("d")
        self._keys = memory[layout.keys : layout.counts]
        width = layout.sets * WAYS * 8
        self._counts = [memory[layout.counts + number * width :][:width].cast("q") for number in range(layout.slots)]

    def entry(self, name: bytes, now: float) -> "UsageEntry":
        """Return the entry of a key, to be used in a `with` block, which locks it. `now` is the present time."""
        return UsageEntry(self, self._key(name), now)

    def has(self, name: bytes) -> bool:
        """Return whether the key has an entry, as far as can be told without the lock."""
        key = self._key(name)
        return self.find(key, self.set_of(key)) is not None

    def set_own(self, index: int, count: int) -> None:
        """Set this worker's count of an entry in which it is not 0, or which is locked."""
        self._counts[self._slot][index] = count

    def clear_slot(self, slot: int) -> None:
        """Set the counts of a worker that has ended to 0."""
        if self._counts:
            counts = self._counts[slot].cast("B")
            counts[:] = bytes(len(counts))

    # -- for UsageEntry ---------------------------------------------------------------------------------------------

    def set_of(self, key: bytes) -> int:
        """Return the set of a key."""
        return int.from_bytes(key[:4], "little") % self._layout.sets

    def lock(self, number: int) -> FileLock:
        """Return the lock of a set."""
        return FileLock(self._descriptor, self._layout.start + number)

    def find(self, key: bytes, number: int) -> int | None:
        """Return the index of a key in a set, None where it has no entry."""
        first = number * WAYS
        keys = bytes(self._keys[first * _KEY_BYTES : (first + WAYS) * _KEY_BYTES])
        position = keys.find(key)
        while position >= 0 and position % _KEY_BYTES:
            position = keys.find(key, position + 1)
        return None if position < 0 else first + position // _KEY_BYTES

    def claim(self, key: bytes, number: int, now: float) -> int | None:
        """Return the index of a new entry of the key in a set, which is locked; None if all of it is counted."""
        first = number * WAYS
        uncounted = [index for index in range(first, first + WAYS) if not self.count(index)]
        if not uncounted:
            return None
        index = min(uncounted, key=lambda index: max(self._times[index], now))
        self._times[index] = 0.0  # before the key: a process may end between any two steps
        self._keys[index * _KEY_BYTES : (index + 1) * _KEY_BYTES] = key
        return index

    def count(self, index: int) -> int:
        """Return the count of an entry in all workers."""
        return sum(counts[index] for counts in self._counts)

    def count_of_others(self, index: int) -> int:
        """Return the count of an entry in all workers but this one."""
        return self.count(index) - (self._counts[self._slot][index] if self._counts else 0)

    def get_time(self, index: int) -> float:
        """Return the time of an entry."""
        return self._times[index]

    def set_time(self, index: int, time: float) -> None:
        """Set the time of an entry."""
        self._times[index] = time

    def _key(self, name: bytes) -> bytes:
        key = hashlib.blake2b(name, digest_size=_KEY_BYTES, key=self._seed).digest()
        return key if key != _NO_KEY else b"\1" + key[1:]


class UsageEntry:
    """The entry of a key, while its `with` block runs. A key that had none gets one, with the time 0."""

    def __init__(self, table: UsageTable, key: bytes, now: float) -> None:
        self._table, self._key, self._now = table, key, now
        self._set = table.set_of(key)
        self._lock = table.lock(self._set)
        self.index: int | None = None

    def __enter__(self) -> "UsageEntry":
        self._lock.__enter__()
        self.index = self._table.find(self._key, self._set)
        if self.index is None:
            self.index = self._table.claim(self._key, self._set, self._now)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, trace)

    @property
    def time(self) -> float:
        """The time of the entry; 0 where the table has no room for it."""
        return 0.0 if self.index is None else self._table.get_time(self.index)

    @time.setter
    def time(self, time: float) -> None:
        if self.index is not None:
            self._table.set_time(self.index, time)

    @property
    def count_of_others(self) -> int:
        """The count of all workers but this one."""
        return 0 if self.index is None else self._table.count_of_others(self.index)

    def set_own(self, count: int) -> None:
        """Set the count of this worker."""
        if self.index is not None:
            self._table.set_own(self.index, count)

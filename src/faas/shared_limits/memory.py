"""The memory that the processes of a server share, and what is where in it."""

import mmap
import os

import msgspec

from faas.shared_limits.counts import SharedConnections, SharedCount
from faas.shared_limits.locks import FileLock
from faas.shared_limits.table import TableLayout, UsageTable

# Sets of 16 entries. Only the pages that are used take memory.
_FUNCTION_SETS = 4096
_TOKEN_SETS = 1024
_ADDRESS_SETS = 1024
_ADMITTED_SETS = 4096
_SEED_BYTES = 16
_COUNTS = 3  # connections, executions, executions of callers without a token


class SharedLimits(msgspec.Struct, frozen=True):
    """What the worker of one slot sees and changes.

    `functions` has when the rate of a function has recovered and its executions, `tokens` and `failures` the same for
    rates of tokens and failed authentications of addresses, `admitted` which tokens were admitted from which address.
    """

    connections: SharedConnections
    executions: SharedCount
    public_executions: SharedCount
    functions: UsageTable
    tokens: UsageTable
    failures: UsageTable
    admitted: UsageTable


class SharedMemory:
    """The memory of a server with `slots` slots: made by `create`, opened by the others by its `descriptor`."""

    def __init__(self, descriptor: int, slots: int) -> None:
        self.descriptor, self.slots = descriptor, slots
        position = _SEED_BYTES + _COUNTS * slots * 8
        self._layouts: list[TableLayout] = []
        for sets, counted in (
            (_FUNCTION_SETS, slots),
            (_TOKEN_SETS, 0),
            (_ADDRESS_SETS, 0),
            (_ADMITTED_SETS, 0),
        ):
            layout = TableLayout(position, sets, counted)
            self._layouts.append(layout)
            position = layout.end
        if os.fstat(descriptor).st_size < position:
            os.ftruncate(descriptor, position)
        self._memory = memoryview(mmap.mmap(descriptor, position))

    @classmethod
    def create(cls, slots: int) -> "SharedMemory":
        """Make the memory."""
        memory = cls(os.memfd_create("faas-limits", os.MFD_CLOEXEC), slots)
        memory._memory[:_SEED_BYTES] = os.urandom(_SEED_BYTES)
        return memory

    def limits(self, slot: int) -> SharedLimits:
        """Return what the worker of `slot` uses."""
        functions, tokens, failures, admitted = (
            UsageTable(
                self._memory,
                layout,
                descriptor=self.descriptor,
                slot=slot,
                seed=bytes(self._memory[:_SEED_BYTES]),
            )
            for layout in self._layouts
        )
        lock = FileLock(self.descriptor, 0)
        return SharedLimits(
            connections=SharedConnections(self._numbers(0), slot),
            executions=SharedCount(self._numbers(1), slot, lock),
            public_executions=SharedCount(self._numbers(2), slot, lock),
            functions=functions,
            tokens=tokens,
            failures=failures,
            admitted=admitted,
        )

    def clear(self, slot: int) -> None:
        """Take back what the worker of `slot` has counted. It has ended."""
        for number in range(_COUNTS):
            self._numbers(number)[slot] = 0
        self.limits(slot).functions.clear_slot(slot)

    def _numbers(self, number: int) -> "memoryview[int]":
        start = _SEED_BYTES + number * self.slots * 8
        return self._memory[start : start + self.slots * 8].cast("q")

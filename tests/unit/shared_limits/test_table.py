"""The table of usage in shared memory."""

import asyncio
import subprocess
import sys

import pytest

from faas.shared_limits import SharedMemory, UsageTable, table
from faas.shared_limits.table import TableLayout

_HOLDING = """
import sys, time
from faas.shared_limits import SharedMemory
functions = SharedMemory(int(sys.argv[1]), 2).limits(1).functions
with functions.entry(b"f", 1.0) as entry:
    entry.time = 50.0
    entry.set_own(2)
    print("locked", flush=True)
    time.sleep(60)
"""


def small_table(slots: int = 2) -> list[UsageTable]:
    """A table of one set, as each slot sees it."""
    layout = TableLayout(16, 1, slots)
    content = memoryview(bytearray(layout.end))
    descriptor = SharedMemory.create(1).descriptor
    return [
        UsageTable(content, layout, descriptor=descriptor, slot=slot, seed=b"seed") for slot in range(max(1, slots))
    ]


def test_table_slots_see_the_same_entry() -> None:
    one, two = small_table()
    with one.entry(b"f", 10.0) as entry:
        assert (entry.time, entry.count_of_others) == (0.0, 0)
        entry.time = 20.0
        entry.set_own(3)
    with two.entry(b"f", 10.0) as entry:
        assert (entry.time, entry.count_of_others) == (20.0, 3)
        entry.set_own(1)
    with one.entry(b"f", 10.0) as entry:
        assert entry.count_of_others == 1
    assert two.has(b"f")
    assert not two.has(b"g")
    one.clear_slot(0)
    with two.entry(b"f", 10.0) as entry:
        assert entry.count_of_others == 0


def test_table_entry_is_free_when_its_time_has_passed_and_nothing_is_counted() -> None:
    one, _ = small_table()
    for number in range(table.WAYS):
        with one.entry(b"%d" % number, 10.0) as entry:
            entry.time = 20.0 + number
    with one.entry(b"3", 10.0) as entry:
        entry.set_own(1)
    with one.entry(b"new", 21.5) as entry:
        assert entry.time == 0.0
    kept = [number for number in range(table.WAYS) if one.has(b"%d" % number)]
    assert len(kept) == table.WAYS - 1
    assert 3 in kept
    assert not {0, 1} <= set(kept)


def test_table_full_of_counts_takes_no_key_and_full_of_times_forgets_the_first_to_pass() -> None:
    one, two = small_table()
    for number in range(table.WAYS):
        with one.entry(b"%d" % number, 10.0) as entry:
            entry.time = 30.0 - number
            entry.set_own(1)
    with two.entry(b"new", 10.0) as entry:
        assert entry.index is None
        entry.time = 5.0  # without effect
        entry.set_own(1)
        assert (entry.time, entry.count_of_others) == (0.0, 0)
    one.clear_slot(0)
    with two.entry(b"new", 10.0) as entry:
        assert entry.index is not None
    assert [number for number in range(table.WAYS) if not one.has(b"%d" % number)] == [table.WAYS - 1]


async def test_table_lock_of_a_process_that_is_killed_is_released() -> None:
    memory = SharedMemory.create(2)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _HOLDING,
        str(memory.descriptor),
        stdout=subprocess.PIPE,
        pass_fds=(memory.descriptor,),
    )
    assert process.stdout
    assert await process.stdout.readline() == b"locked\n"

    def enter() -> tuple[float, int]:
        with memory.limits(0).functions.entry(b"f", 1.0) as entry:
            return entry.time, entry.count_of_others

    entering = asyncio.create_task(asyncio.to_thread(enter))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(entering), 0.3)
    process.kill()
    await process.wait()
    assert await asyncio.wait_for(entering, 10) == (50.0, 2)
    memory.clear(1)
    assert enter() == (50.0, 0)

"""The bytes that bodies hold: counted once, and by nothing that has been released."""

import pytest

from faas.outbound.memory import BodyMemory, HeldBytes
from faas.outbound.model import RequestFailed


def test_held_bytes_of_all_requests_are_bounded() -> None:
    memory = BodyMemory(100)
    one, two = HeldBytes(memory), HeldBytes(memory)
    one.add(60)
    with pytest.raises(RequestFailed, match="try again later"):
        two.add(41)
    two.add(40)
    one.shrink(10)
    assert memory.held == 50


def test_held_bytes_are_released_once_and_for_all() -> None:
    memory = BodyMemory(100)
    held = HeldBytes(memory)
    held.add(60)
    held.release()
    held.add(30)  # an answer whose execution has ended
    held.release()
    assert memory.held == 0


def test_held_bytes_take_no_more_from_the_moment_of_the_release() -> None:
    """The thread of an execution releases while the event loop reads the answer."""

    class Memory(BodyMemory):
        def change(self, size: int) -> None:
            super().change(size)
            if size < 0:
                assert held._released  # else a part that comes now would be held for good

    memory = Memory(100)
    held = HeldBytes(memory)
    held.add(60)
    held.release()
    assert memory.held == 0

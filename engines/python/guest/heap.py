"""The heap at the time of the snapshot: few pages change in a call when what it allocates lies together.

`settle` fills the holes of the heap. `library_objects` lists the objects that the loaded modules lead to: the builder
makes them immortal, because the reference count of an object that is merely looked at changes its page.
"""

import array
import gc
import sys
from collections.abc import Callable
from types import CodeType, CoroutineType, FrameType, GeneratorType, TracebackType

_COLLECTION_THRESHOLD = 100_000  # containers: a collection touches all of the heap, so small calls end before one
_TOP_BYTES = 3 << 20
_MAX_BLOCKS = 400_000
_LARGE_SIZES = (*(1 << power for power in range(20, 9, -1)), 800, 700, 600, 550, 520)
_NOT_LISTED = (FrameType, GeneratorType, CoroutineType, TracebackType, array.array)

_fillers: list[object] = []


def settle() -> None:
    """Fill the holes of the heap below its top."""
    gc.collect()
    top = bytes(_TOP_BYTES)
    end = id(top)
    del top

    def fill(make: Callable[[], object]) -> None:
        for _ in range(_MAX_BLOCKS):
            block = make()
            if id(block) >= end:
                return
            _fillers.append(block)

    for size in _LARGE_SIZES:
        fill(lambda size=size: bytes(size))  # type: ignore[misc]
    empty = sys.getsizeof(b"")
    for size in range(512, 23, -8):
        fill(lambda size=size: bytes(size - empty))  # type: ignore[misc]
    number = [1 << 29]

    def next_number() -> int:
        number[0] += 1
        return number[0]

    fill(next_number)
    fill(object)
    gc.freeze()


def library_objects() -> bytes:
    """Return the addresses of the objects that the modules lead to, each as four bytes."""
    seen = {id(_fillers)}
    addresses = array.array("I")
    waiting: list[object] = [module for name, module in sys.modules.items() if name != "function"]
    seen.update(map(id, waiting))
    while waiting:
        item = waiting.pop()
        addresses.append(id(item))
        referents = gc.get_referents(item)
        if isinstance(item, CodeType):
            referents = [
                item.co_consts, item.co_names, item.co_varnames, item.co_freevars, item.co_cellvars, item.co_filename,
                item.co_name, item.co_qualname, item.co_linetable, item.co_exceptiontable,
            ]  # fmt: skip
        for referent in referents:
            if id(referent) not in seen and not isinstance(referent, _NOT_LISTED):
                seen.add(id(referent))
                waiting.append(referent)
    return addresses.tobytes()


def set_collection_threshold() -> None:
    """Let the collector begin late."""
    gc.set_threshold(_COLLECTION_THRESHOLD)
    gc.enable()

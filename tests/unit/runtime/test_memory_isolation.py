"""What one execution leaves in its memory is not readable by the next one that gets the same pool slot."""

import hashlib

from faas.runtime import Runtime
from tests.helpers.support import core_wat, wat

EXECUTIONS = 50  # far more than the test runtime's pool has slots

# Two addresses, because the pool clears them in different ways: the first 64 KiB of a slot by writing zeros, the rest by
# returning the pages to the kernel.
_ADDRESSES = (60_000, 3_000_000)
_WRITE = "".join(f"(i32.store8 (i32.const {address}) (i32.const 1))" for address in _ADDRESSES)
_READ = "(i32.and " + " ".join(f"(i32.load8_u (i32.const {address}))" for address in _ADDRESSES) + ")"
_READ_EITHER = _READ.replace("i32.and", "i32.or")


def module(before: str, read: str, after: str) -> bytes:
    """A module that does `before`, outputs the digit that `read` gives, and does `after`."""
    output = f"(i32.store8 (i32.const 2048) (i32.add (i32.const 48) {read}))"
    return wat(core_wat(f"{before} {output} {after} (i64.const 0x0000080000000001)", memory="64"))


async def outputs(runtime: Runtime, binary: bytes, count: int) -> list[bytes | None]:
    async def load() -> bytes:
        return binary

    digest = hashlib.sha256(binary).digest()
    return [(await runtime.run(digest, load, b"{}")).output for _ in range(count)]


async def test_memory_is_zero_at_the_start_of_every_execution(runtime: Runtime) -> None:
    found = await outputs(runtime, module("", _READ_EITHER, _WRITE), EXECUTIONS)
    assert found == [b"0"] * EXECUTIONS


async def test_memory_probe_sees_what_was_written(runtime: Runtime) -> None:
    """Without this the test above would pass for a module that reads the wrong addresses."""
    assert await outputs(runtime, module(_WRITE, _READ, ""), 1) == [b"1"]

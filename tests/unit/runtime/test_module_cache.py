"""The module cache: one precompilation for concurrent callers, no memory of failed loads, and a limit in bytes."""

import asyncio
import hashlib

import pytest

from faas.runtime import Outcome, Runtime, module_cache
from tests.helpers.guests import small_runtime
from tests.helpers.support import core_wat, wat


async def load_valid_module() -> bytes:
    return wat(core_wat())


async def test_module_cache_precompiles_once_for_concurrent_callers(runtime: Runtime) -> None:
    loads = 0

    async def load() -> bytes:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.01)
        return await load_valid_module()

    digest = b"a digest of its own"
    outcomes = await asyncio.gather(*(runtime.run(digest, load, b"{}") for _ in range(8)))
    assert outcomes == [Outcome(output=b"{}")] * 8
    assert loads == 1


async def test_module_cache_loads_again_after_a_failed_load(runtime: Runtime) -> None:
    async def failing_load() -> bytes:
        raise OSError("away")

    digest = b"a module that cannot be loaded at first"
    with pytest.raises(OSError, match="away"):
        await runtime.run(digest, failing_load, b"{}")
    assert (await runtime.run(digest, load_valid_module, b"{}")).output == b"{}"


async def test_module_cache_failed_load_of_one_caller_is_not_raised_to_another(runtime: Runtime) -> None:
    digest = b"a module that only one of two callers can load"
    loading = asyncio.Event()

    async def failing_load() -> bytes:
        loading.set()
        await asyncio.sleep(0.05)
        raise OSError("deleted in between")

    first = asyncio.create_task(runtime.run(digest, failing_load, b"{}"))
    await loading.wait()
    assert (await runtime.run(digest, load_valid_module, b"{}")).output == b"{}"
    with pytest.raises(OSError, match="deleted in between"):
        await first


async def test_module_cache_native_code_has_a_limit_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of one byte, only the newest module is kept."""
    monkeypatch.setattr(module_cache, "MAX_NATIVE_CODE_BYTES", 1)
    binaries = [wat(core_wat(extra=f"(global i32 (i32.const {number}))")) for number in range(3)]
    loaded = []

    async def run(number: int) -> None:
        async def load() -> bytes:
            loaded.append(number)
            return binaries[number]

        digest = hashlib.sha256(binaries[number]).digest()
        assert (await runtime.run(digest, load, b"{}")).output == b"{}"

    async with small_runtime() as runtime:
        for number in (0, 1, 2, 2, 0, 0, 1, 1):
            await run(number)
    assert loaded == [0, 1, 2, 0, 1]

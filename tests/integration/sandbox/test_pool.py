"""A pool of confined processes that cannot start says so, and says so no longer than it is true."""

import asyncio

from faas.runtime import Precompiler
from tests.helpers.support import core_wat, eventually


async def test_a_pool_that_was_down_comes_up_without_being_asked() -> None:
    precompiler = Precompiler(stack=256 << 10, timeout=60, memory=1 << 20, workers=2)
    keeping = asyncio.create_task(precompiler.pool.keep_warm(check_interval=0.05))

    async def state() -> str:
        return precompiler.pool.state

    await eventually(state, lambda found: found.startswith("DOWN: native compilation did not start"))
    precompiler._memory = 2 << 30
    assert await eventually(state, lambda found: found == "UP") == "UP"
    keeping.cancel()
    assert isinstance(await precompiler.assemble(core_wat()), bytes)
    await precompiler.pool.close()


async def test_the_first_request_shares_the_processors_with_no_other_start() -> None:
    precompiler = Precompiler(stack=256 << 10, timeout=60, memory=2 << 30, workers=2)

    async def state() -> str:
        return precompiler.pool.state

    keeping = asyncio.create_task(precompiler.pool.keep_warm(2, check_interval=3600))
    assert await eventually(state, lambda found: found == "UP") == "UP"
    assert isinstance(await precompiler.assemble(core_wat()), bytes)
    assert len(precompiler.pool.processes) == 1
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    keeping = asyncio.create_task(precompiler.pool.keep_warm(2, check_interval=0.01))

    async def count() -> int:
        return len(precompiler.pool.processes)

    assert await eventually(count, lambda found: found == 2) == 2
    keeping.cancel()
    await precompiler.pool.close()

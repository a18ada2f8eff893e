"""The worker pool: its state after failed starts, and its warm-up."""

import asyncio

from faas.runtime import Precompiler
from tests.helpers.support import core_wat, eventually


async def test_worker_pool_recovers_from_down_without_requests() -> None:
    precompiler = Precompiler(stack=256 << 10, timeout=60, memory=1 << 20, workers=2)
    keeping = asyncio.create_task(precompiler.pool.keep_warm(check_interval=0.05))

    async def state() -> str:
        return precompiler.pool.state

    await eventually(state, lambda found: found.startswith("DOWN: precompiler did not start"))
    precompiler._memory = 2 << 30
    assert await eventually(state, lambda found: found == "UP") == "UP"
    keeping.cancel()
    assert isinstance(await precompiler.assemble(core_wat()), bytes)
    await precompiler.pool.close()


async def test_worker_pool_warm_up_delays_all_but_the_first_worker() -> None:
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

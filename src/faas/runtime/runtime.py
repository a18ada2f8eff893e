"""The runtime: checks modules, and executes them inline on the event loop or in guest threads."""

import asyncio
import hashlib
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

from faas.runtime import contracts
from faas.runtime.engine_module import EngineUnavailable
from faas.runtime.engine_modules import EngineModules, LoadEngine, no_engines
from faas.runtime.epoch_ticker import EpochTicker
from faas.runtime.guest_runner import GuestCall, GuestRunner, ticks
from faas.runtime.hand_off import HandOff
from faas.runtime.inline_policy import MAX_INLINE_BYTES, PoliciesByFunction, RunInThread, inline_attempts
from faas.runtime.instance_pool import InstancePool
from faas.runtime.kept_instances import MAX_KEPT_INSTANCES, open_kept_instances
from faas.runtime.limits import Limits
from faas.runtime.linked_module import Contract, InvalidModule
from faas.runtime.module_cache import Executable, ModuleCache
from faas.runtime.outcome import Outcome
from faas.runtime.precompile.client import Precompiler
from faas.runtime.precompile.sealed_code import SealedCode
from faas.runtime.reach import NOTHING, Reach
from faas.sandbox import LimitReached, WorkerDied, WorkerPool

_GUEST_THREAD_STACK_BYTES = 8 << 20  # the guest's stack is part of its thread's, whatever `ulimit -s` says
_GUEST_THREAD_NICENESS = 10


class Runtime:
    """Checks and executes modules. Use it with `async with`, and from one event loop.

    At most `threads` guests run in threads at once; `cached_modules` modules are kept ready to run. `load_engine`
    returns the binary of an engine module by its digest: functions that are images of an engine need it.
    """

    def __init__(
        self,
        limits: Limits,
        precompiler: Precompiler,
        *,
        threads: int,
        cached_modules: int,
        load_engine: LoadEngine = no_engines,
    ) -> None:
        self.limits = limits
        self._precompiler = precompiler
        instances = threads + 1  # one for each guest thread, and one for the event loop
        self._pool = InstancePool(limits, instances=instances)
        self._engines = EngineModules(precompiler, limits, load_engine, instances=instances + MAX_KEPT_INSTANCES)
        self.kept_instances = open_kept_instances()
        self._guests = GuestRunner(self.kept_instances)
        self._inline_attempts = inline_attempts(limits.stack)
        self._policies = PoliciesByFunction()
        # One thread for each execution that may be in flight, so that endless loops cannot block other executions.
        threading.stack_size(_GUEST_THREAD_STACK_BYTES)
        self._guest_threads = ThreadPoolExecutor(threads, "guest", initializer=_lower_priority)
        self._hand_off = HandOff()
        self._measuring: asyncio.Task[float] | None = None
        self._modules = ModuleCache(
            self._pool, self._engines, precompiler, limits, self._hand_off, max_modules=cached_modules
        )

    async def __aenter__(self) -> "Runtime":
        await self._hand_off.measure()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.interrupt()
        if self._measuring is not None:
            await self._measuring
        await asyncio.to_thread(self._guest_threads.shutdown)
        self.epoch_ticker.close()
        await self._precompiler.pool.close()
        self.kept_instances.close()
        await self._modules.close()
        await self._engines.close()
        self._pool.close()

    @property
    def epoch_ticker(self) -> EpochTicker:
        """The ticker of the modules that are no images of an engine."""
        return self._pool.epoch_ticker

    @property
    def precompiler_pool(self) -> WorkerPool:
        """The worker processes that precompile modules."""
        return self._precompiler.pool

    @property
    def precompiler_state(self) -> str:
        """State of the precompiler pool: `UP`, `WARMING`, or `DOWN: ` with the reason."""
        return self._precompiler.pool.state

    async def check(self, binary: bytes) -> str | None:
        """Return why `binary` cannot be executed (not WebAssembly, a missing export, an unknown import), or None.

        Raises WorkerDied.
        """
        module = await self._modules.get(hashlib.sha256(binary).digest(), lambda: _identity(binary), new=True)
        return module.reason if isinstance(module, InvalidModule) else None

    async def contract(self, binary: bytes) -> Contract | None:
        """Return how the function in `binary` is called, or None where it cannot be executed. Raises WorkerDied."""
        module = await self._modules.get(hashlib.sha256(binary).digest(), lambda: _identity(binary), new=True)
        return None if isinstance(module, InvalidModule) else module.contract

    async def engine_code(self, digest: bytes) -> SealedCode:
        """Return the native code of the engine module with this SHA-256 `digest`. It is closed with the runtime.

        Raises EngineUnavailable, LimitReached and WorkerDied.
        """
        return (await self._engines.get(digest)).native_code

    async def load_cached_engine(self, digest: bytes) -> None:
        """Load the engine module if its native code is on the disk, so that the first call does not wait for that."""
        if self._precompiler.has_cached_engine(digest):
            with suppress(EngineUnavailable, LimitReached, WorkerDied):  # the first call says so
                await self._engines.get(digest)

    async def assemble(self, text: str) -> bytes | str:
        """Return the module that a text in WebAssembly's text format describes, or diagnostics. Raises WorkerDied."""
        return await self._precompiler.assemble(text)

    async def run(
        self,
        digest: bytes,
        load: Callable[[], Awaitable[bytes]],
        given: contracts.Input,
        limits: Limits | None = None,
        execution_id: UUID | None = None,
        *,
        function_id: UUID | None = None,
        reach: Reach = NOTHING,
    ) -> Outcome:
        """Execute the module with this SHA-256 `digest` in a fresh instance; `load` fetches one that is not cached.

        `given` is a JSON document, UTF-8, or a request. `limits` are the runtime's own or narrower ones. `execution_id`
        is what the guest is told as the id of its execution, a random one by default. `function_id` is the function
        whose revision the module is: a new one runs inline if the one before it does. `reach` is what the guest may
        reach. Whatever the guest does is an Outcome. Raises WorkerDied, and what `load` raises.
        """
        module = self._modules.get_cached(digest) or await self._modules.get(digest, load, new=False)
        if isinstance(module, InvalidModule):
            return Outcome(error=module.reason)
        call = GuestCall(given, limits or self.limits, execution_id, reach)
        if function_id is not None:
            self._policies.follow(function_id, module.inline_policy)
        with module.pool.epoch_ticker:
            for _ in range(self._inline_attempts):
                if not module.inline_policy.runs_inline or contracts.size_of(given) > MAX_INLINE_BYTES:
                    break
                result = self._guests.run_inline(module, call)
                if isinstance(result, Outcome):
                    return result
                if isinstance(result, RunInThread):
                    break
            return await self._run_in_thread(module, call)

    async def _run_in_thread(self, module: Executable, call: GuestCall) -> Outcome:
        if self._hand_off.is_old:  # now and then, and only where threads are used
            self._measuring = asyncio.create_task(self._hand_off.measure())

        def work() -> Outcome:
            with module.pool.epoch_ticker.deadline(call.limits.time):
                return self._guests.run_threaded(module, call)

        return await asyncio.get_running_loop().run_in_executor(self._guest_threads, work)

    def interrupt(self) -> None:
        """End every running guest at once, and every later one as it starts: for a shutdown that cannot wait."""
        self._guests.interrupt_from_now_on()
        for pool in (self._pool, *self._engines.pools):
            pool.epoch_ticker.advance(ticks(self.limits.time))  # no guest's deadline is further away


def _lower_priority() -> None:
    """Run guest threads at a lower scheduling priority than the event loop and Postgres (on Linux, per thread)."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GUEST_THREAD_NICENESS)


async def _identity(binary: bytes) -> bytes:
    return binary

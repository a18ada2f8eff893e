"""The engine modules in use, by digest: each is precompiled and linked once for all functions of it."""

import asyncio
import hashlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeVar

import wasmtime

from faas.runtime import abi, c_api
from faas.runtime.abi.convention import CallingConvention
from faas.runtime.engine_module import EngineModule, EngineUnavailable, mutable_globals_of
from faas.runtime.hidden_state import hidden_state
from faas.runtime.instance_pool import InstancePool
from faas.runtime.limits import Limits
from faas.runtime.linked_module import LinkedModule, linker_of
from faas.runtime.precompile.client import Precompiler
from faas.runtime.precompile.sealed_code import SealedCode
from faas.runtime.traps import describe_failure

LoadEngine = Callable[[bytes], Awaitable[bytes | None]]

_Given = TypeVar("_Given")
_Made = TypeVar("_Made", bound=EngineModule | SealedCode | None)

MAX_ENGINES = 8  # at once: one for each language, and the older ones of functions that were not compiled again


async def no_engines(_digest: bytes) -> None:
    """A LoadEngine that knows none."""


class EngineModules:
    """Loads engine modules by their SHA-256 digest. None is evicted. Use from one event loop.

    `load` returns the binary of an engine, or None where this installation does not have it. `instances` is how many
    of all engines can be in flight at once.
    """

    def __init__(self, precompiler: Precompiler, limits: Limits, load: LoadEngine, *, instances: int) -> None:
        self._precompiler = precompiler
        self._limits = limits
        self._load = load
        self._instances = instances
        self._making = threading.Lock()  # of what several engines share, each of which is linked in a thread
        self._pool: InstancePool | None = None  # made with the first engine: most of it is reserved addresses
        self._linkers: dict[str, wasmtime.Linker] = {}
        self._tasks: dict[bytes, asyncio.Task[EngineModule]] = {}
        self._closed = False

    @property
    def pools(self) -> Sequence[InstancePool]:
        """The pool of the engines, once there is one."""
        return [self._pool] if self._pool else []

    async def get(self, digest: bytes) -> EngineModule:
        """Return the engine module with this digest. Concurrent callers wait for the same precompilation.

        Raises EngineUnavailable, LimitReached and WorkerDied, and what `load` raises. The next caller tries again then.
        """
        task = self._tasks.get(digest)
        if task is None:
            if self._closed:
                raise EngineUnavailable("the runtime is closed")
            if len(self._tasks) >= MAX_ENGINES:
                raise EngineUnavailable(f"the functions of this server use {MAX_ENGINES} engines, the most it can load")
            task = asyncio.create_task(self._prepare(digest))
            self._tasks[digest] = task
            task.add_done_callback(lambda done: self._forget_failed(digest, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Free every engine. No guest may be running. What loads one in a thread is waited for."""
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        for engine in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(engine, EngineModule):
                engine.close()
        for linker in self._linkers.values():
            linker.close()
        for pool in self.pools:
            pool.epoch_ticker.close()
            pool.close()

    def _forget_failed(self, digest: bytes, task: asyncio.Task[EngineModule]) -> None:
        if task.cancelled() or task.exception():
            self._tasks.pop(digest, None)

    async def _prepare(self, digest: bytes) -> EngineModule:
        if cached := await _in_thread(self._precompiler.find_engine, digest):
            with suppress(EngineUnavailable):  # wasmtime refuses native code of another version
                return await _in_thread(self._link, cached)
        binary = await self._load(digest)
        if binary is None:
            raise EngineUnavailable(
                f"the function needs the engine {digest.hex()[:16]}, which neither this server nor its database has: "
                "deploy it again"
            )
        if hashlib.sha256(binary).digest() != digest:
            raise EngineUnavailable(f"the engine {digest.hex()[:16]} is damaged: its content does not have this digest")
        if hidden := await asyncio.to_thread(hidden_state, binary):
            raise EngineUnavailable(f"the engine cannot be restored: {hidden}")
        native_code = await self._precompiler.precompile(digest, binary, new=False, copy_on_write=True)
        if isinstance(native_code, str):
            raise EngineUnavailable(native_code)
        return await _in_thread(self._link, await _in_thread(SealedCode.of, native_code))

    def _link(self, native_code: SealedCode) -> EngineModule:
        try:
            return self._linked(native_code)
        except BaseException:
            native_code.close()
            raise

    def _linked(self, native_code: SealedCode) -> EngineModule:
        pool = self._open_pool()
        try:
            precompiled = native_code.load(pool.engine)
        except wasmtime.WasmtimeError as error:
            raise EngineUnavailable(describe_failure(error, self._limits, 0)) from None
        convention = abi.detect_engine(precompiled)
        if isinstance(convention, abi.NoConvention):
            raise EngineUnavailable(convention.reason)
        linker = self._open_linker(pool, convention)
        linked = LinkedModule(
            pool,
            precompiled,
            linker,
            convention,
            native_code_bytes=native_code.size,
            mutable_globals=mutable_globals_of(precompiled),
        )
        try:
            return EngineModule(linked, native_code, self._limits)
        except c_api.CallFailed as failure:
            raise EngineUnavailable(describe_failure(failure.cause, self._limits, 0)) from None

    def _open_pool(self) -> InstancePool:
        with self._making:
            if self._pool is None:
                self._pool = InstancePool(self._limits, instances=self._instances + MAX_ENGINES, copy_on_write=True)
            return self._pool

    def _open_linker(self, pool: InstancePool, convention: CallingConvention) -> wasmtime.Linker:
        with self._making:
            if convention.name not in self._linkers:
                self._linkers[convention.name] = linker_of(pool.engine, convention)
            return self._linkers[convention.name]


async def _in_thread(function: Callable[[_Given], _Made], given: _Given) -> _Made:
    """Return what `function` returns in a thread. A cancellation waits for the end of the thread, and closes that.

    The thread uses the pool of instances, which is closed after a cancellation.
    """
    running = asyncio.ensure_future(asyncio.to_thread(function, given))
    cancelled = False
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError:
            cancelled = True
    if not cancelled:
        return running.result()
    made = None if running.exception() else running.result()
    if made is not None:
        made.close()
    raise asyncio.CancelledError

"""The client of the precompiler's worker processes (worker.py). Their answers are trusted like Cranelift itself."""

import asyncio
import sys
import sysconfig
from pathlib import Path

import wasmtime

from faas.runtime.precompile import worker
from faas.runtime.precompile.cache import NativeCodeCache
from faas.runtime.precompile.sealed_code import SealedCode
from faas.sandbox import LimitReached, Sandbox, WorkerPool, WorkerProcess

_ANSWER_LIMIT_BYTES = 256 << 20

_ENGINE_TIMEOUT_SECONDS = 300.0


class Precompiler:
    """Precompiles modules and assembles texts in worker processes, each with `timeout` seconds and `memory` bytes.

    Engines have at least _ENGINE_TIMEOUT_SECONDS. `stack` is the size of the guests' call stack in bytes, which the
    native code depends on. `cache` is the folder in which native code is kept; without one, each start of the server
    precompiles every module again. `engine_cache` is a second one for that of engines, shared with other processes.
    """

    def __init__(
        self,
        *,
        stack: int,
        timeout: float,
        memory: int,
        workers: int,
        cache: Path | None = None,
        engine_cache: Path | None = None,
    ) -> None:
        self._stack = stack
        self._caches: dict[bool, NativeCodeCache] = {}
        if cache:
            self._caches[False] = NativeCodeCache(cache, f"stack {stack}")
            self._caches[True] = NativeCodeCache(cache, f"stack {stack}, copy-on-write")
        self._shared = NativeCodeCache(engine_cache, f"stack {stack}, copy-on-write") if engine_cache else None
        self._timeout = timeout
        self._memory = memory
        pool_size = max(2, workers)
        self.pool = WorkerPool(lambda: WorkerProcess(self.sandbox, answer_limit=_ANSWER_LIMIT_BYTES), pool_size)
        # New modules leave one worker to modules that were precompiled before, so that a flood of new functions does
        # not delay the executions of others.
        self._new_modules = asyncio.Semaphore(pool_size - 1)

    @property
    def sandbox(self) -> Sandbox:
        """The program of a worker process and its confinement."""
        packages = Path(wasmtime.__file__).parent.parent
        libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
        program = (
            f"import runpy, sys; sys.path.append({str(packages)!r}); runpy.run_path(sys.argv[1], run_name='__main__')"
        )
        return Sandbox(
            name="precompiler",
            command=[sys.executable, "-I", "-S", "-c", program, worker.__file__, str(self._stack)],
            readable=[packages, Path(worker.__file__), Path(sys.base_prefix, "lib"), *libraries],
            memory=self._memory,
        )

    async def get_cached(self, digest: bytes) -> bytes | None:
        """Return the native code of the module with this SHA-256 `digest` from the disk, or None."""
        cache = self._caches.get(False)
        return await asyncio.to_thread(cache.get, digest) if cache else None

    def find_engine(self, digest: bytes) -> SealedCode | None:
        """Return the native code of an engine module, with copy-on-write memory, from the disk, or None.

        What the shared folder has is copied to the own one, where there is one. Reads up to 50 MB.
        """
        cache = self._caches.get(True)
        if cache and (found := cache.get_sealed(digest)):
            return found
        shared = self._shared.get_sealed(digest) if self._shared else None
        if cache and shared:
            cache.put(digest, shared.content())
        return shared

    def has_cached_engine(self, digest: bytes) -> bool:
        """Return whether the native code of an engine module is in the own folder: this server has used it before."""
        cache = self._caches.get(True)
        return cache is not None and cache.has(digest)

    async def precompile(self, digest: bytes, binary: bytes, *, new: bool, copy_on_write: bool = False) -> bytes | str:
        """Return the native code of `binary`, or why it is not a module. `new`: it was never precompiled before.

        `copy_on_write` is that of the configuration which the native code is for (worker.engine_config). Raises
        LimitReached, and WorkerDied when the process ended unexpectedly.
        """
        kind = worker.PRECOMPILE_COPY_ON_WRITE if copy_on_write else worker.PRECOMPILE
        # Engines are the platform's own, and large: their limit is for a machine that is busy with other things.
        seconds = max(self._timeout, _ENGINE_TIMEOUT_SECONDS) if copy_on_write else self._timeout
        answer = await self._ask(kind + binary, seconds, new=new)
        if answer[:1] == worker.DONE:
            for cache in (self._caches.get(copy_on_write), self._shared if copy_on_write else None):
                if cache:
                    await asyncio.to_thread(cache.put, digest, answer[1:])
            return answer[1:]
        return f"not a valid WebAssembly module: {' '.join(answer[1:].decode().split())}"

    async def assemble(self, text: str) -> bytes | str:
        """Return the module that `text` describes, or the assembler's diagnostics. Raises WorkerDied."""
        try:
            answer = await self._ask(worker.ASSEMBLE + text.encode(), self._timeout, new=True)
        except LimitReached as limit:
            return str(limit)
        return answer[1:] if answer[:1] == worker.DONE else answer[1:].decode()

    async def _ask(self, request: bytes, seconds: float, *, new: bool) -> bytes:
        if not new:
            return await self.pool.request(request, seconds)
        async with self._new_modules:
            return await self.pool.request(request, seconds)

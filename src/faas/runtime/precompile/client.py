"""Native code for modules, made by confined processes (worker.py) and trusted as the compiler in them is."""

import asyncio
import sys
import sysconfig
from pathlib import Path

import wasmtime

from faas.runtime.precompile import worker
from faas.runtime.precompile.cache import ArtifactCache
from faas.sandbox import LimitReached, Sandbox, WorkerPool, WorkerProcess

_ANSWER_LIMIT = 256 << 20


class Artifacts:
    """Compiles modules, and assembles texts, outside this process: `timeout` seconds and `memory` bytes for each.

    `cache` is the folder in which native code is kept; without one, each start translates anew.
    """

    def __init__(self, *, stack: int, timeout: float, memory: int, workers: int, cache: Path | None = None) -> None:
        self._stack = stack
        self._cache = ArtifactCache(cache, f"stack {stack}") if cache else None
        self._timeout = timeout
        self._memory = memory
        size = max(2, workers)
        self.pool = WorkerPool(self._spawn, size)
        # New modules leave one process to those that were compiled before: what runs does not wait for what is new.
        self._newcomers = asyncio.Semaphore(size - 1)

    async def cached(self, digest: bytes) -> bytes | None:
        """The native code of the module with this SHA-256 `digest`, if it was kept."""
        return await asyncio.to_thread(self._cache.get, digest) if self._cache else None

    async def compile(self, digest: bytes, binary: bytes, *, new: bool) -> bytes | str:
        """Native code for `binary`, or why there is none. `new`: nobody has compiled it before.

        Raises LimitReached, and WorkerDied when the process ended without saying why.
        """
        answer = await self._ask(worker.MODULE + binary, new=new)
        if answer[:1] == worker.DONE:
            if self._cache:
                await asyncio.to_thread(self._cache.put, digest, answer[1:])
            return answer[1:]
        return f"not a valid WebAssembly module: {' '.join(answer[1:].decode().split())}"

    async def assemble(self, text: str) -> bytes | str:
        """The module that `text` describes, or the assembler's diagnostics. Raises WorkerDied."""
        try:
            answer = await self._ask(worker.TEXT + text.encode(), new=True)
        except LimitReached as limit:
            return str(limit)
        return answer[1:] if answer[:1] == worker.DONE else answer[1:].decode()

    async def _ask(self, request: bytes, *, new: bool) -> bytes:
        if not new:
            return await self.pool.ask(request, self._timeout)
        async with self._newcomers:
            return await self.pool.ask(request, self._timeout)

    def _spawn(self) -> WorkerProcess:
        packages = Path(wasmtime.__file__).parent.parent
        libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
        program = (
            f"import runpy, sys; sys.path.append({str(packages)!r}); runpy.run_path(sys.argv[1], run_name='__main__')"
        )
        sandbox = Sandbox(
            name="translating the module",
            command=[sys.executable, "-I", "-S", "-c", program, worker.__file__, str(self._stack)],
            readable=[packages, Path(worker.__file__), Path(sys.base_prefix, "lib"), *libraries],
            memory=self._memory,
        )
        return WorkerProcess(sandbox, answer_limit=_ANSWER_LIMIT)

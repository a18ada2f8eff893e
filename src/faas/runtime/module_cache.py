"""The module cache: precompiled and linked modules, ready to be instantiated; the most recently used ones are kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import wasmtime

from faas.runtime import abi, images, vector_types
from faas.runtime.engine_module import EngineUnavailable, FunctionImage, function_of
from faas.runtime.engine_modules import EngineModules
from faas.runtime.hand_off import HandOff
from faas.runtime.instance_pool import InstancePool
from faas.runtime.limits import Limits
from faas.runtime.linked_module import InvalidModule, LinkedModule, Module, linker_of
from faas.runtime.precompile.client import Precompiler
from faas.runtime.traps import describe_failure
from faas.sandbox import LimitReached

MAX_NATIVE_CODE_BYTES = 1 << 30  # in memory, of all cached modules together
MAX_IMAGE_BYTES = 1 << 30  # of all cached images together
_MAX_LINK_ERROR_CHARACTERS = 1000  # it has names of the module
_PASSES_VECTORS = "an exported or imported function takes or returns a vector (v128), which the host cannot pass"

Executable: TypeAlias = Module | FunctionImage


class ModuleCache:
    """Keeps up to `max_modules` modules by the SHA-256 of their binary. Invalid ones are kept too.

    The native code of all of them is limited to MAX_NATIVE_CODE_BYTES. Functions of an engine have none of their own:
    they are kept up to MAX_IMAGE_BYTES, and do not count as modules. Use from one event loop.
    """

    def __init__(
        self,
        pool: InstancePool,
        engines: EngineModules,
        precompiler: Precompiler,
        limits: Limits,
        hand_off: HandOff,
        *,
        max_modules: int,
    ) -> None:
        self._pool = pool
        self._hand_off = hand_off
        self._engines = engines
        self._limits = limits
        self._precompiler = precompiler
        self._max_modules = max_modules
        self._linkers = {convention.name: linker_of(pool.engine, convention) for convention in abi.CONVENTIONS}
        self._tasks: OrderedDict[bytes, asyncio.Task[Executable | InvalidModule]] = OrderedDict()
        self._images: OrderedDict[bytes, FunctionImage] = OrderedDict()
        self._image_bytes = 0

    async def close(self) -> None:
        """Free every module. No guest may be running."""
        for task in self._tasks.values():
            task.cancel()
        for module in await asyncio.gather(*self._tasks.values(), return_exceptions=True):
            if isinstance(module, Module):
                module.close()
        self._tasks.clear()
        self._images.clear()
        for linker in self._linkers.values():
            linker.close()

    def get_cached(self, digest: bytes) -> Executable | None:
        """Return the module if it is in the cache and can be executed."""
        image = self._images.get(digest)
        if image is not None:
            self._images.move_to_end(digest)
            return image
        task = self._tasks.get(digest)
        if task is None or not task.done() or task.cancelled() or task.exception():
            return None
        self._tasks.move_to_end(digest)
        module = task.result()
        return None if isinstance(module, InvalidModule) else module

    async def get(
        self, digest: bytes, load: Callable[[], Awaitable[bytes]], *, new: bool
    ) -> Executable | InvalidModule:
        """Return the module; if it is not cached, precompile the binary that `load` returns.

        Concurrent callers wait for the same precompilation. `new` says that the module was never precompiled before.
        Raises what this caller's `load` raises, and WorkerDied.
        """
        while True:
            started_here = digest not in self._tasks
            task = self._task(digest, load, new=new)
            try:
                module = await asyncio.shield(task)
            except (LimitReached, EngineUnavailable) as passing:  # the next caller tries again
                self._forget(digest, task)
                return InvalidModule(str(passing))
            except BaseException:
                if not task.done():  # this caller was cancelled; the others still wait for the task
                    raise
                self._forget(digest, task)
                if started_here or not (task.cancelled() or task.exception()):
                    raise
                # The `load` of another caller failed. Ours may succeed: try again.
            else:
                if isinstance(module, FunctionImage):
                    self._keep_image(digest, task, module)
                elif started_here:
                    self._evict()
                return module

    def _task(
        self, digest: bytes, load: Callable[[], Awaitable[bytes]], *, new: bool
    ) -> "asyncio.Task[Executable | InvalidModule]":
        """Return the task that prepares the module, begun now or earlier."""
        task = self._tasks.get(digest)
        if task is None:
            task = asyncio.create_task(self._prepare(digest, load, new=new))
            self._tasks[digest] = task
            if len(self._tasks) > self._max_modules:
                self._tasks.popitem(last=False)
        self._tasks.move_to_end(digest)
        return task

    def _keep_image(
        self, digest: bytes, task: "asyncio.Task[Executable | InvalidModule]", image: FunctionImage
    ) -> None:
        """Move an image from the tasks to the images once, and evict the least recently used images."""
        if self._tasks.get(digest) is not task:
            return
        del self._tasks[digest]
        self._images[digest] = image
        self._image_bytes += image.memory.size
        while self._image_bytes > MAX_IMAGE_BYTES and len(self._images) > 1:
            _, evicted = self._images.popitem(last=False)
            self._image_bytes -= evicted.memory.size

    def _forget(self, digest: bytes, task: "asyncio.Task[Executable | InvalidModule]") -> None:
        if self._tasks.get(digest) is task:
            del self._tasks[digest]

    def _evict(self) -> None:
        """Evict the least recently used modules until the native code is within its limit. Keeps the newest."""
        sizes: dict[bytes, int] = {}
        for digest, task in self._tasks.items():
            if task.done() and not task.cancelled() and not task.exception():
                module = task.result()
                sizes[digest] = module.linked.native_code_bytes if isinstance(module, Module) else 0
        total = sum(sizes.values())
        for digest in list(sizes)[:-1]:
            if total <= MAX_NATIVE_CODE_BYTES:
                break
            total -= sizes[digest]
            del self._tasks[digest]

    async def _prepare(
        self, digest: bytes, load: Callable[[], Awaitable[bytes]], *, new: bool
    ) -> Executable | InvalidModule:
        if cached := await self._precompiler.get_cached(digest):
            module = await asyncio.to_thread(self._link, digest, cached)
            if isinstance(module, Module):  # wasmtime refuses native code of another engine; it is precompiled again
                return module
        binary = await load()
        if images.carries_engine(binary):
            return await self._prepare_image(digest, binary)
        if vector_types.passes_vectors(binary):
            return InvalidModule(_PASSES_VECTORS)
        native_code = await self._precompiler.precompile(digest, binary, new=new)
        if isinstance(native_code, str):
            return InvalidModule(native_code)
        return await asyncio.to_thread(self._link, digest, native_code)

    async def _prepare_image(self, digest: bytes, binary: bytes) -> FunctionImage | InvalidModule:
        try:
            image = await asyncio.to_thread(images.parse, binary)
        except images.ImageError as error:
            return InvalidModule(f"not a valid image of an engine: {error}")
        engine = await self._engines.get(image.engine)
        return await asyncio.to_thread(function_of, engine, image, self._limits, self._hand_off, digest.hex())

    def _link(self, digest: bytes, native_code: bytes) -> Module | InvalidModule:
        try:
            precompiled = wasmtime.Module.deserialize(self._pool.engine, native_code)
        except wasmtime.WasmtimeError as error:
            return InvalidModule(describe_failure(error, self._limits, 0))
        convention = abi.detect(precompiled)
        if isinstance(convention, abi.NoConvention):
            return InvalidModule(convention.reason)
        linker = self._linkers[convention.name]
        try:
            linked = LinkedModule(
                self._pool, precompiled, linker, convention, native_code_bytes=len(native_code), mutable_globals=[]
            )
        except wasmtime.WasmtimeError as error:  # of WASI, whose imports are compared here only
            return InvalidModule(" ".join(str(error).split())[:_MAX_LINK_ERROR_CHARACTERS])
        return Module(linked, self._hand_off, digest.hex())

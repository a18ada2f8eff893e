"""The module cache: precompiled and linked modules, ready to be instantiated; the most recently used ones are kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import wasmtime

from faas.runtime import abi, c_api
from faas.runtime.abi.convention import CallingConvention
from faas.runtime.host_context import guarded
from faas.runtime.inline_policy import InlinePolicy
from faas.runtime.instance import ExportLayout
from faas.runtime.limits import Limits
from faas.runtime.precompile.client import Precompiler
from faas.runtime.traps import describe_failure
from faas.sandbox import LimitReached

_MEMORY = "memory"
MAX_NATIVE_CODE_BYTES = 1 << 30  # in memory, of all cached modules together


class Module:
    """A module that can be executed: linked, with its calling convention and its inline policy."""

    __slots__ = (
        "_instance_pre", "_precompiled", "convention", "exports", "initializes", "inline_policy", "instance_pre",
        "native_code_bytes",
    )  # fmt: skip

    def __init__(
        self,
        precompiled: wasmtime.Module,
        linker: wasmtime.Linker,
        convention: CallingConvention,
        native_code_bytes: int,
    ) -> None:
        self._precompiled = precompiled
        self._instance_pre = linker.instantiate_pre(precompiled)  # kept alive: its address is used
        self.instance_pre: Any = c_api.address_of(self._instance_pre.ptr())
        self.native_code_bytes = native_code_bytes
        self.convention = convention
        types = {export.name: abi.type_text(export.type) for export in precompiled.exports}
        self.initializes = types.get(abi.INITIALIZE) == abi.INITIALIZE_TYPE
        functions = [name for name in convention.exports if name != _MEMORY]
        self.exports = ExportLayout([*functions, abi.INITIALIZE] if self.initializes else functions, _MEMORY)
        self.inline_policy = InlinePolicy()

    def close(self) -> None:
        """Free the module. No guest of it may be running."""
        self._instance_pre.close()
        self._precompiled.close()


class InvalidModule(msgspec.Struct, frozen=True):
    """A module that cannot be executed. `reason` is for the function's author."""

    reason: str


class ModuleCache:
    """Keeps up to `max_modules` modules by the SHA-256 of their binary. Invalid ones are kept too.

    The native code of all of them is limited to MAX_NATIVE_CODE_BYTES. Use from one event loop.
    """

    def __init__(self, engine: wasmtime.Engine, precompiler: Precompiler, limits: Limits, max_modules: int) -> None:
        self._engine = engine
        self._limits = limits
        self._precompiler = precompiler
        self._max_modules = max_modules
        self._linkers = {convention.name: _linker(engine, convention) for convention in abi.CONVENTIONS}
        self._tasks: OrderedDict[bytes, asyncio.Task[Module | InvalidModule]] = OrderedDict()

    async def close(self) -> None:
        """Free every module. No guest may be running."""
        for task in self._tasks.values():
            task.cancel()
        for module in await asyncio.gather(*self._tasks.values(), return_exceptions=True):
            if isinstance(module, Module):
                module.close()
        self._tasks.clear()
        for linker in self._linkers.values():
            linker.close()

    def get_cached(self, digest: bytes) -> Module | None:
        """Return the module if it is in the cache and can be executed."""
        task = self._tasks.get(digest)
        if task is None or not task.done() or task.cancelled() or task.exception():
            return None
        self._tasks.move_to_end(digest)
        module = task.result()
        return None if isinstance(module, InvalidModule) else module

    async def get(self, digest: bytes, load: Callable[[], Awaitable[bytes]], *, new: bool) -> Module | InvalidModule:
        """Return the module; if it is not cached, precompile the binary that `load` returns.

        Concurrent callers wait for the same precompilation. `new` says that the module was never precompiled before.
        Raises what this caller's `load` raises, and WorkerDied.
        """
        while True:
            task = self._tasks.get(digest)
            started_here = task is None
            if task is None:
                task = asyncio.create_task(self._prepare(digest, load, new=new))
                self._tasks[digest] = task
                if len(self._tasks) > self._max_modules:
                    self._tasks.popitem(last=False)
            self._tasks.move_to_end(digest)
            try:
                module = await asyncio.shield(task)
            except LimitReached as limit:  # the machine may be busy, so the next caller tries again
                self._forget(digest, task)
                return InvalidModule(str(limit))
            except BaseException:
                if not task.done():  # this caller was cancelled; the others still wait for the task
                    raise
                self._forget(digest, task)
                if started_here or not (task.cancelled() or task.exception()):
                    raise
                # The `load` of another caller failed. Ours may succeed: try again.
            else:
                if started_here:
                    self._evict()
                return module

    def _forget(self, digest: bytes, task: "asyncio.Task[Module | InvalidModule]") -> None:
        if self._tasks.get(digest) is task:
            del self._tasks[digest]

    def _evict(self) -> None:
        """Evict the least recently used modules until the native code is within its limit. Keeps the newest."""
        sizes: dict[bytes, int] = {}
        for digest, task in self._tasks.items():
            if task.done() and not task.cancelled() and not task.exception():
                module = task.result()
                sizes[digest] = module.native_code_bytes if isinstance(module, Module) else 0
        total = sum(sizes.values())
        for digest in list(sizes)[:-1]:
            if total <= MAX_NATIVE_CODE_BYTES:
                break
            total -= sizes[digest]
            del self._tasks[digest]

    async def _prepare(
        self, digest: bytes, load: Callable[[], Awaitable[bytes]], *, new: bool
    ) -> Module | InvalidModule:
        if cached := await self._precompiler.get_cached(digest):
            module = await asyncio.to_thread(self._link, cached)
            if isinstance(module, Module):  # wasmtime refuses native code of another engine; it is precompiled again
                return module
        native_code = await self._precompiler.precompile(digest, await load(), new=new)
        if isinstance(native_code, str):
            return InvalidModule(native_code)
        return await asyncio.to_thread(self._link, native_code)

    def _link(self, native_code: bytes) -> Module | InvalidModule:
        try:
            precompiled = wasmtime.Module.deserialize(self._engine, native_code)
        except wasmtime.WasmtimeError as error:
            return InvalidModule(describe_failure(error, self._limits, 0))
        convention = abi.detect(precompiled)
        if isinstance(convention, abi.NoConvention):
            return InvalidModule(convention.reason)
        return Module(precompiled, self._linkers[convention.name], convention, len(native_code))


def _linker(engine: wasmtime.Engine, convention: CallingConvention) -> wasmtime.Linker:
    linker = wasmtime.Linker(engine)
    for name, host in convention.imports.items():
        function_type = wasmtime.FuncType(
            [_value_type(name) for name in host.parameters], [_value_type(name) for name in host.results]
        )
        default = 0.0 if host.results else None
        linker.define_func("env", name, function_type, guarded(host.call, default), access_caller=True)
    return linker


def _value_type(name: str) -> wasmtime.ValType:
    value_type: wasmtime.ValType = getattr(wasmtime.ValType, name)()
    return value_type

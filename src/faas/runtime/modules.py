"""The modules at hand: compiled, linked as far as they can be without a store, the most recently used ones kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import wasmtime

from faas.runtime import abi, native
from faas.runtime.abi.convention import ABI
from faas.runtime.artifacts import Artifacts
from faas.runtime.guest import Exports
from faas.runtime.limits import Limits
from faas.runtime.session import guarded
from faas.runtime.traps import explain

_MEMORY = "memory"
_QUICK_IN_A_ROW = 3
_FORGIVEN_AFTER = 16


class Module:
    """A module that can be called, by which convention, and how quick its calls have been."""

    __slots__ = ("_compiled", "_ready", "abi", "exports", "initializes", "quick", "ready", "streak")

    def __init__(self, compiled: wasmtime.Module, linker: wasmtime.Linker, convention: ABI) -> None:
        self._compiled = compiled
        self._ready = linker.instantiate_pre(compiled)  # kept alive for its address
        self.ready: Any = native.address(self._ready.ptr())
        self.abi = convention
        kinds = {export.name: abi.describe(export.type) for export in compiled.exports}
        self.initializes = kinds.get(abi.INITIALIZE) == abi.INITIALIZE_TYPE
        functions = [name for name in convention.exports if name != _MEMORY]
        self.exports = Exports([*functions, abi.INITIALIZE] if self.initializes else functions, _MEMORY)
        self.quick = False
        self.streak = 0

    def close(self) -> None:
        """Free it. Nothing may run it any more."""
        self._ready.close()
        self._compiled.close()

    def took(self, quickly: bool) -> None:
        """A call was made, `quickly` or not.

        A few quick calls in a row make the module quick. A slow one ends that, unless many quick ones came before it:
        once in a while it is the machine that is slow.
        """
        if quickly:
            self.streak += 1
            self.quick = self.quick or self.streak >= _QUICK_IN_A_ROW
        else:
            self.quick = self.quick and self.streak >= _FORGIVEN_AFTER
            self.streak = 0


class Modules:
    """A cache of up to `size` modules by the SHA-256 of their binary. Use from one event loop."""

    def __init__(self, engine: wasmtime.Engine, artifacts: Artifacts, limits: Limits, size: int) -> None:
        self._engine = engine
        self._limits = limits
        self._artifacts = artifacts
        self._size = size
        self._linkers = {convention.name: _linker(engine, convention) for convention in abi.CONVENTIONS}
        self._tasks: OrderedDict[bytes, asyncio.Task[Module | str]] = OrderedDict()

    async def close(self) -> None:
        """Free all of it. Nothing may run any more."""
        for task in self._tasks.values():
            task.cancel()
        for found in await asyncio.gather(*self._tasks.values(), return_exceptions=True):
            if isinstance(found, Module):
                found.close()
        self._tasks.clear()
        for linker in self._linkers.values():
            linker.close()

    def at_hand(self, digest: bytes) -> Module | None:
        """The module, if it is here and can be called."""
        task = self._tasks.get(digest)
        if task is None or not task.done() or task.cancelled() or task.exception():
            return None
        self._tasks.move_to_end(digest)
        module = task.result()
        return None if isinstance(module, str) else module

    async def get(self, digest: bytes, load: Callable[[], Awaitable[bytes]], *, new: bool) -> Module | str:
        """The module, or what is wrong with it. Callers that come together wait for one compilation."""
        while True:
            task, own = self._tasks.get(digest), False
            if task is None:
                task, own = asyncio.create_task(self._compile(digest, load, new=new)), True
                self._tasks[digest] = task
                if len(self._tasks) > self._size:
                    self._tasks.popitem(last=False)
            self._tasks.move_to_end(digest)
            try:
                return await asyncio.shield(task)
            except BaseException:
                if not task.done():  # it is we who are cancelled; the others still wait for it
                    raise
                if self._tasks.get(digest) is task:
                    del self._tasks[digest]
                if own or not (task.cancelled() or task.exception()):
                    raise
                # Somebody else's `load` failed, of which we know nothing: try with our own.

    async def _compile(self, digest: bytes, load: Callable[[], Awaitable[bytes]], *, new: bool) -> Module | str:
        if cached := await self._artifacts.cached(digest):
            module = await asyncio.to_thread(self._link, cached)
            if isinstance(module, Module):  # another engine's code is refused: then it is made anew
                return module
        code = await self._artifacts.compile(digest, await load(), new=new)
        return code if isinstance(code, str) else await asyncio.to_thread(self._link, code)

    def _link(self, code: bytes) -> Module | str:
        try:
            compiled = wasmtime.Module.deserialize(self._engine, code)
        except wasmtime.WasmtimeError as error:
            return explain(error, self._limits, 0)
        convention, fault = abi.choose(compiled)
        return fault if convention is None else Module(compiled, self._linkers[convention.name], convention)


def _linker(engine: wasmtime.Engine, convention: ABI) -> wasmtime.Linker:
    linker = wasmtime.Linker(engine)
    for name, host in convention.imports.items():
        kind = wasmtime.FuncType([_value(v) for v in host.parameters], [_value(v) for v in host.results])
        default = 0.0 if host.results else None
        linker.define_func("env", name, kind, guarded(host.call, default), access_caller=True)
    return linker


def _value(name: str) -> wasmtime.ValType:
    value: wasmtime.ValType = getattr(wasmtime.ValType, name)()
    return value

"""The modules at hand: compiled, linked as far as they can be without a store, the most recently used ones kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import wasmtime

from faas.runtime import abi, c_api
from faas.runtime.abi.convention import ABI
from faas.runtime.host_context import guarded
from faas.runtime.instance import Exports
from faas.runtime.limits import Limits
from faas.runtime.precompile.client import Artifacts
from faas.runtime.traps import explain
from faas.sandbox import LimitReached

_MEMORY = "memory"
_QUICK = 0.0005  # seconds of processor time; calls below it may run on the event loop
_QUICK_IN_A_ROW = 3
_FORGIVEN_AFTER = 16
_NEVER_FORGIVEN = 0.02  # seconds: a call that takes so long is slow by itself
_MOST_IN_A_ROW = 1024
_LARGEST = 1 << 30  # bytes of native code in memory, all modules together


class Module:
    """A module that can be called, by which convention, and how quick its calls have been."""

    __slots__ = ("_compiled", "_needed", "_ready", "abi", "exports", "initializes", "quick", "ready", "size", "streak")

    def __init__(self, compiled: wasmtime.Module, linker: wasmtime.Linker, convention: ABI, size: int) -> None:
        self._compiled = compiled
        self.size = size  # of its native code, in bytes
        self._ready = linker.instantiate_pre(compiled)  # kept alive for its address
        self.ready: Any = c_api.address(self._ready.ptr())
        self.abi = convention
        kinds = {export.name: abi.describe(export.type) for export in compiled.exports}
        self.initializes = kinds.get(abi.INITIALIZE) == abi.INITIALIZE_TYPE
        functions = [name for name in convention.exports if name != _MEMORY]
        self.exports = Exports([*functions, abi.INITIALIZE] if self.initializes else functions, _MEMORY)
        self.quick = False
        self.streak = 0
        self._needed = _QUICK_IN_A_ROW

    def close(self) -> None:
        """Free it. Nothing may run it any more."""
        self._ready.close()
        self._compiled.close()

    def took(self, seconds: float) -> None:
        """A call was made that took so much of a processor.

        A few quick calls in a row make the module quick. A slow one ends that, and it takes twice as many from then on,
        unless many quick ones came before it: once in a while it is the machine that is slow.
        """
        if seconds < _QUICK:
            self.streak += 1
            self.quick = self.quick or self.streak >= self._needed
        else:
            forgiven = self.streak >= _FORGIVEN_AFTER and seconds < _NEVER_FORGIVEN
            if self.quick and not forgiven:
                self.quick = False
                self._needed = min(2 * self._needed, _MOST_IN_A_ROW)
            self.streak = 0


class Modules:
    """A cache of up to `size` modules by the SHA-256 of their binary, and of a bounded sum of their native code.

    Use from one event loop.
    """

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
                found = await asyncio.shield(task)
            except LimitReached as limit:  # of a machine that is busy, perhaps: whoever asks next has it tried again
                self._forget(digest, task)
                return str(limit)
            except BaseException:
                if not task.done():  # it is we who are cancelled; the others still wait for it
                    raise
                self._forget(digest, task)
                if own or not (task.cancelled() or task.exception()):
                    raise
                # Somebody else's `load` failed, of which we know nothing: try with our own.
            else:
                if own:
                    self._trim()
                return found

    def _forget(self, digest: bytes, task: "asyncio.Task[Module | str]") -> None:
        if self._tasks.get(digest) is task:
            del self._tasks[digest]

    def _trim(self) -> None:
        """Let the modules go that were used least recently, until the others' native code is not too much."""
        sizes: dict[bytes, int] = {}
        for digest, task in self._tasks.items():
            if task.done() and not task.cancelled() and not task.exception():
                module = task.result()
                sizes[digest] = module.size if isinstance(module, Module) else 0
        size = sum(sizes.values())
        for digest in list(sizes)[:-1]:
            if size <= _LARGEST:
                break
            size -= sizes[digest]
            del self._tasks[digest]

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
        return fault if convention is None else Module(compiled, self._linkers[convention.name], convention, len(code))


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

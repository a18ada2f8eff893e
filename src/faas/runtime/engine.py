"""The engine: its configuration, its clock, its modules, its threads, and the one way in which a guest is called."""

import asyncio
import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import msgspec
import structlog
import wasmtime

from faas import documents
from faas.runtime import abi
from faas.runtime.abi.convention import ABI, Guest
from faas.runtime.artifacts import Artifacts
from faas.runtime.clock import TICK, EpochClock
from faas.runtime.exports import export
from faas.runtime.limits import Limits
from faas.runtime.outcome import GuestFault, Outcome
from faas.runtime.precompiler import configuration
from faas.runtime.session import Session, guarded
from faas.runtime.traps import explain

log = structlog.get_logger()

_TABLE_ELEMENTS = 100_000
_INVALID_JSON_SHOWN = 80
_THREAD_STACK = 8 << 20  # the guest's stack is part of its thread's, whatever `ulimit -s` says


class _Module(msgspec.Struct, frozen=True):
    """A compiled module, linked as far as it can be without a store."""

    compiled: wasmtime.Module
    ready: wasmtime.InstancePre
    abi: ABI


class Runtime:
    """Checks and runs modules. Use as `async with`; safe to use from one event loop."""

    def __init__(self, limits: Limits, artifacts: Artifacts, *, threads: int, cached_modules: int) -> None:
        self._limits = limits
        self._artifacts = artifacts
        self._engine = wasmtime.Engine(configuration(limits.stack))
        self._clock = EpochClock(self._engine)
        self._linkers = {convention.name: _linker(self._engine, convention) for convention in abi.CONVENTIONS}
        self._modules: OrderedDict[bytes, asyncio.Task[_Module | str]] = OrderedDict()
        self._cached_modules = cached_modules
        # A thread for each call that may be in flight: a guest that loops holds up nobody. Idle ones are used again.
        threading.stack_size(_THREAD_STACK)
        self._guests = ThreadPoolExecutor(threads, "guest")
        self._running = 0
        self._interrupted = False

    async def __aenter__(self) -> "Runtime":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.interrupt()
        await asyncio.to_thread(self._guests.shutdown)
        self._clock.close()
        await self._artifacts.pool.close()

    @property
    def limits(self) -> Limits:
        """What one call may use."""
        return self._limits

    @property
    def state(self) -> str:
        """Of the processes that translate modules: `UP`, `WARMING`, or `DOWN: why`."""
        return self._artifacts.pool.state

    async def check(self, binary: bytes) -> str | None:
        """What keeps `binary` from being run: not wasm, a missing export, an import nobody provides. None when fine.

        Raises WorkerDied.
        """
        module = await self._module(hashlib.sha256(binary).digest(), lambda: _given(binary), new=True)
        return module if isinstance(module, str) else None

    async def assemble(self, text: str) -> bytes | str:
        """The module that `text`, WebAssembly's text format, describes, or what is wrong with it. Raises WorkerDied."""
        return await self._artifacts.assemble(text)

    async def run(self, digest: bytes, load: Callable[[], Awaitable[bytes]], document: bytes) -> Outcome:
        """Call the module with this SHA-256 `digest` in a fresh instance; `load` fetches it when it is not cached.

        `document` is JSON, UTF-8. Whatever the guest does comes back as an Outcome; raises what `load` raises, and
        WorkerDied.
        """
        module = await self._module(digest, load, new=False)
        if isinstance(module, str):
            return Outcome(error=module)
        self._running += 1
        if self._running == 1:
            self._clock.start()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._guests, self._call, module, document)
        finally:
            self._running -= 1
            if not self._running:
                self._clock.stop()

    def interrupt(self) -> None:
        """End every call that runs now, and every later one, at once: for a shutdown that cannot wait."""
        self._interrupted = True
        for _ in range(self._deadline()):  # no guest's deadline lies further ahead
            self._engine.increment_epoch()

    def _deadline(self) -> int:
        """The time limit in ticks."""
        return max(1, math.ceil(self._limits.time / TICK))

    # -- modules ---------------------------------------------------------------------------------------------------

    async def _module(self, digest: bytes, load: Callable[[], Awaitable[bytes]], *, new: bool) -> _Module | str:
        """The compiled module, or what is wrong with it. Callers that come together wait for one compilation."""
        while True:
            task, own = self._modules.get(digest), False
            if task is None:
                task, own = asyncio.create_task(self._compile(load, new=new)), True
                self._modules[digest] = task
                if len(self._modules) > self._cached_modules:
                    self._modules.popitem(last=False)
            self._modules.move_to_end(digest)
            try:
                return await asyncio.shield(task)
            except BaseException:
                if not task.done():  # it is we who are cancelled; the others still wait for it
                    raise
                if self._modules.get(digest) is task:
                    del self._modules[digest]
                if own or not (task.cancelled() or task.exception()):
                    raise
                # Somebody else's `load` failed, of which we know nothing: try with our own.

    async def _compile(self, load: Callable[[], Awaitable[bytes]], *, new: bool) -> _Module | str:
        code = await self._artifacts.compile(await load(), new=new)
        return code if isinstance(code, str) else await asyncio.to_thread(self._link, code)

    def _link(self, code: bytes) -> _Module | str:
        compiled = wasmtime.Module.deserialize(self._engine, code)
        convention, fault = abi.choose(compiled)
        if convention is None:
            return fault
        return _Module(compiled, self._linkers[convention.name].instantiate_pre(compiled), convention)

    # -- calls -----------------------------------------------------------------------------------------------------

    def _call(self, module: _Module, document: bytes) -> Outcome:
        """Runs on a guest thread. Everything that can go wrong here is the guest's, or is logged as ours."""
        with Session(self._limits.logs) as session:
            output, error = b"", None
            try:
                output = self._invoke(module, document)
            except GuestFault as fault:
                error = str(fault)
            except _Trapped as trapped:
                error = trapped.reason
            except Exception as unexpected:  # one of the three edges (see docs/architecture.md): nothing gets past it
                log.exception("guest.unexpected_error")
                error = f"the runtime could not make the call: {type(unexpected).__name__}"
            if session.host_error:
                log.error("guest.host_function_failed", error=repr(session.host_error))
            error = session.aborted or error or _fault_of(output)
            if self._interrupted and error and error.startswith("time limit"):
                error = "interrupted: the server shut down"
            if error:
                return Outcome(error=error.replace("\0", "\\u0000"), logs=session.logs)
            return Outcome(output=output, logs=session.logs)

    def _invoke(self, module: _Module, document: bytes) -> bytes:
        store = wasmtime.Store(self._engine)
        store.set_limits(
            memory_size=self._limits.memory, table_elements=_TABLE_ELEMENTS, instances=1, tables=16, memories=1
        )
        store.set_epoch_deadline(self._deadline())
        if self._interrupted:  # after the line above: either we see it here, or its ticks come on top of the deadline
            store.set_epoch_deadline(1)
            self._engine.increment_epoch()
        memory = None
        try:
            instance = module.ready.instantiate(store)
            guest = Guest(store, {name: export(store, instance, name) for name in module.abi.exports})
            memory = guest.memory
            if isinstance(initialize := export(store, instance, "_initialize"), wasmtime.Func):
                initialize(store)
            return module.abi.invoke(guest, document, self._limits.output)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            size = memory.data_len(store) if memory else 0
            raise _Trapped(explain(error, self._limits, size)) from None


class _Trapped(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


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


def _fault_of(output: bytes) -> str | None:
    try:
        documents.check(output)
    except documents.NotJSON as error:
        shown = output[:_INVALID_JSON_SHOWN].decode("utf-8", "replace")
        more = "…" if len(output) > _INVALID_JSON_SHOWN else ""
        return f"invalid JSON: {error}; the output begins: {shown}{more}"
    return None


async def _given(binary: bytes) -> bytes:
    return binary

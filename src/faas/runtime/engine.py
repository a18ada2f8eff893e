"""The engine: its configuration, its clock, its modules, its threads, and the one way in which a guest is called."""

import asyncio
import hashlib
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType

import msgspec
import structlog
import wasmtime

from faas import documents
from faas.runtime import abi
from faas.runtime.abi.convention import ABI, Guest
from faas.runtime.limits import Limits
from faas.runtime.outcome import GuestFault, Outcome
from faas.runtime.session import Session, guarded
from faas.runtime.traps import explain

log = structlog.get_logger()

TICK = 0.01  # seconds; the time limit is kept to within two of these
_TABLE_ELEMENTS = 100_000
_INVALID_JSON_SHOWN = 80
_GUEST_NICENESS = 5


class _Module(msgspec.Struct, frozen=True):
    """A compiled module, linked as far as it can be without a store."""

    compiled: wasmtime.Module
    ready: wasmtime.InstancePre
    abi: ABI


class Runtime:
    """Compiles, checks and runs modules. Use as `async with`; safe to use from one event loop."""

    def __init__(self, limits: Limits, *, threads: int, cached_modules: int) -> None:
        self._limits = limits
        self._engine = wasmtime.Engine(_configuration(limits))
        self._linkers = {convention.name: _linker(self._engine, convention) for convention in abi.CONVENTIONS}
        self._modules: OrderedDict[bytes, asyncio.Future[_Module | str]] = OrderedDict()
        self._cached_modules = cached_modules
        # A thread for each call that may be in flight: a guest that loops holds up nobody. Idle ones are used again.
        self._guests = ThreadPoolExecutor(threads, "guest", initializer=_yield_to_others)
        self._compilers = ThreadPoolExecutor(2, "cranelift")
        self._running = 0
        self._wanted = threading.Event()
        self._closed = False
        self._interrupted = False
        self._ticker = threading.Thread(target=self._tick, name="epoch", daemon=True)

    async def __aenter__(self) -> "Runtime":
        self._ticker.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.interrupt()
        await asyncio.to_thread(self._guests.shutdown)
        await asyncio.to_thread(self._compilers.shutdown)
        self._closed = True
        self._wanted.set()

    @property
    def limits(self) -> Limits:
        """What one call may use."""
        return self._limits

    async def check(self, binary: bytes) -> str | None:
        """What keeps `binary` from being run: not wasm, a missing export, an import nobody provides. None when fine."""
        module = await self._module(hashlib.sha256(binary).digest(), lambda: _given(binary))
        return module if isinstance(module, str) else None

    async def run(self, digest: bytes, load: Callable[[], Awaitable[bytes]], document: bytes) -> Outcome:
        """Call the module with this SHA-256 `digest` in a fresh instance; `load` fetches it when it is not cached.

        `document` is JSON, UTF-8. Whatever the guest does comes back as an Outcome; only `load` can raise.
        """
        module = await self._module(digest, load)
        if isinstance(module, str):
            return Outcome(error=module)
        self._running += 1
        self._wanted.set()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._guests, self._call, module, document)
        finally:
            self._running -= 1
            if not self._running:
                self._wanted.clear()

    def interrupt(self) -> None:
        """End every call that runs now, and every later one, at its next tick: for a shutdown that cannot wait."""
        self._interrupted = True
        self._wanted.set()

    # -- modules ---------------------------------------------------------------------------------------------------

    async def _module(self, digest: bytes, load: Callable[[], Awaitable[bytes]]) -> _Module | str:
        """The compiled module, or what is wrong with it. Callers that come together wait for one compilation."""
        future = self._modules.get(digest)
        if future is None:
            future = asyncio.get_running_loop().create_task(self._compile(load))
            self._modules[digest] = future
            if len(self._modules) > self._cached_modules:
                self._modules.popitem(last=False)
        self._modules.move_to_end(digest)
        try:
            return await asyncio.shield(future)
        except BaseException:
            # Loading failed, or we were cancelled: the next caller starts anew rather than meet the same error.
            if future.done() and (future.cancelled() or future.exception()):
                self._modules.pop(digest, None)
            raise

    async def _compile(self, load: Callable[[], Awaitable[bytes]]) -> _Module | str:
        binary = await load()
        return await asyncio.get_running_loop().run_in_executor(self._compilers, self._compile_now, binary)

    def _compile_now(self, binary: bytes) -> _Module | str:
        try:
            compiled = wasmtime.Module(self._engine, binary)
        except wasmtime.WasmtimeError as error:
            return f"not a valid WebAssembly module: {' '.join(str(error).split())}"
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
        store.set_epoch_deadline(max(1, math.ceil(self._limits.time / TICK)))
        memory = None
        try:
            instance = module.ready.instantiate(store)
            exports = instance.exports(store)
            guest = Guest(store, exports)
            memory = guest.memory
            if isinstance(initialize := exports.get("_initialize"), wasmtime.Func):
                initialize(store)
            return module.abi.invoke(guest, document, self._limits.output)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            size = memory.data_len(store) if memory else 0
            raise _Trapped(explain(error, self._limits, size)) from None

    def _tick(self) -> None:
        """Advance the epoch while guests run. The sleep is a wait in C: it needs the GIL for microseconds."""
        pause = threading.Event()
        while not self._closed:
            self._wanted.wait()
            pause.wait(TICK)
            # An interrupt ages every deadline at once: no guest's lies more than time / TICK ahead.
            steps = math.ceil(self._limits.time / TICK) if self._interrupted and self._running else 1
            for _ in range(steps):
                self._engine.increment_epoch()


class _Trapped(Exception):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _configuration(limits: Limits) -> wasmtime.Config:
    config = wasmtime.Config()
    config.epoch_interruption = True
    config.max_wasm_stack = limits.stack
    config.cranelift_opt_level = "speed"
    # What no toolchain of ours emits is off: less to attack. One memory, so that the memory limit is the whole of it.
    config.wasm_threads = False
    config.wasm_memory64 = False
    config.wasm_multi_memory = False
    config.wasm_component_model = False
    return config


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


def _yield_to_others() -> None:
    """Guests get the processor that the event loop and the database leave over. On Linux a thread has its own nice."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GUEST_NICENESS)

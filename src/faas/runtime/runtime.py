"""The engine: its configuration, its clock, its modules, its threads, and the one way in which a guest is called.

A call runs on the event loop when its module's calls have been quick: handing 50 µs of work to a thread and back costs
more than the work. A tick of the clock ends it there, and it runs again from the start in a thread, under the limit
that it was promised: a guest has no effects outside its instance, so nobody can tell. Calls of modules that are not
known to be quick go to a thread at once.
"""

import asyncio
import hashlib
import math
import os
import resource
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import structlog
import wasmtime

from faas import json_documents
from faas.runtime import abi, c_api
from faas.runtime.epoch_ticker import TICK, EpochClock
from faas.runtime.host_context import Session
from faas.runtime.instance import Guest
from faas.runtime.limits import Limits
from faas.runtime.module_cache import Module, Modules
from faas.runtime.outcome import GuestFault, Outcome
from faas.runtime.precompile.client import Artifacts
from faas.runtime.precompile.worker import configuration
from faas.runtime.traps import explain, is_interrupt
from faas.sandbox import WorkerPool

log = structlog.get_logger()

_INVALID_JSON_SHOWN = 80
_THREAD_STACK = 8 << 20  # the guest's stack is part of its thread's, whatever `ulimit -s` says

_ON_THE_LOOP = 2  # attempts: the first tick after a call has begun may come at once
_LINGER = 1.0  # seconds for which the clock goes on when nothing runs
_NICENESS = 10
_SMALL = 64 << 10  # bytes of input, or of output; a larger one is work by itself
_MAIN_STACK = 1 << 20  # bytes that the event loop's thread needs beside the guest's stack
_OVERDUE = 1.0  # seconds after its time limit; a call that still runs then has no clock


class Runtime:
    """Checks and runs modules. Use as `async with`; safe to use from one event loop."""

    def __init__(self, limits: Limits, artifacts: Artifacts, *, threads: int, cached_modules: int) -> None:
        self._limits = limits
        self._artifacts = artifacts
        # One more than threads: the event loop's.
        config = c_api.pooled(configuration(limits.stack), instances=threads + 1, memory=limits.memory)
        self._engine = wasmtime.Engine(config)
        self._address = c_api.address(self._engine.ptr())
        self._clock = EpochClock(self._engine)
        self._modules = Modules(self._engine, artifacts, limits, cached_modules)
        # A thread for each call that may be in flight: a guest that loops holds up nobody. Idle ones are used again.
        threading.stack_size(_THREAD_STACK)
        self._guests = ThreadPoolExecutor(threads, "guest", initializer=_step_back)
        self._ticks = max(1, math.ceil(limits.time / TICK))
        self._attempts = _ON_THE_LOOP if _has_stack(limits.stack + _MAIN_STACK) else 0
        self._running = 0
        self._called = False
        self._due: dict[object, float] = {}  # of the calls in threads, the oldest first: when they will have ended
        self._resting: asyncio.TimerHandle | None = None  # while the clock ticks
        self._interrupted = False

    async def __aenter__(self) -> "Runtime":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.interrupt()
        await asyncio.to_thread(self._guests.shutdown)
        if self._resting:
            self._resting.cancel()
        self._clock.close()
        await asyncio.sleep(2 * TICK)  # a tick may be on its way
        await self._artifacts.pool.close()
        await self._modules.close()
        self._engine.close()  # its address space is as large as a thousand programs': not to be left to the collector

    @property
    def limits(self) -> Limits:
        """What one call may use."""
        return self._limits

    @property
    def state(self) -> str:
        """Of the processes that translate modules: `UP`, `WARMING`, or `DOWN: why`."""
        return self._artifacts.pool.state

    @property
    def processes(self) -> WorkerPool:
        """The processes that translate modules."""
        return self._artifacts.pool

    async def check(self, binary: bytes) -> str | None:
        """What keeps `binary` from being run: not wasm, a missing export, an import nobody provides. None when fine.

        Raises WorkerDied.
        """
        module = await self._modules.get(hashlib.sha256(binary).digest(), lambda: _given(binary), new=True)
        return module if isinstance(module, str) else None

    async def assemble(self, text: str) -> bytes | str:
        """The module that `text`, WebAssembly's text format, describes, or what is wrong with it. Raises WorkerDied."""
        return await self._artifacts.assemble(text)

    async def run(self, digest: bytes, load: Callable[[], Awaitable[bytes]], document: bytes) -> Outcome:
        """Call the module with this SHA-256 `digest` in a fresh instance; `load` fetches it when it is not cached.

        `document` is JSON, UTF-8. Whatever the guest does comes back as an Outcome; raises what `load` raises, and
        WorkerDied.
        """
        module = self._modules.at_hand(digest) or await self._modules.get(digest, load, new=False)
        if isinstance(module, str):
            return Outcome(error=module)
        self._running += 1
        self._called = True
        if not self._resting:
            self._clock.start()
            self._resting = asyncio.get_running_loop().call_later(_LINGER, self._rest)
        try:
            for _ in range(self._attempts):
                if not module.quick or len(document) > _SMALL:
                    break
                outcome = self._call(module, document, 1)
                if outcome is not None:
                    return outcome
                if not module.streak:  # it had its time
                    break
            return await self._call_in_thread(module, document)
        finally:
            self._running -= 1

    async def _call_in_thread(self, module: Module, document: bytes) -> Outcome:
        def work() -> Outcome | None:
            call = object()
            self._due[call] = time.monotonic() + self._limits.time
            try:
                return self._call(module, document, self._ticks)
            finally:
                del self._due[call]

        outcome = await asyncio.get_running_loop().run_in_executor(self._guests, work)
        assert outcome is not None
        return outcome

    def _rest(self) -> None:
        """Stop the clock when nothing has run for a while: an idle server sleeps, a busy one does not set timers."""
        if self._running or self._called:
            self._called = False
            self._resting = asyncio.get_running_loop().call_later(_LINGER, self._rest)
            due = list(self._due.values())
            if due and time.monotonic() > due[0] + _OVERDUE:
                # The C library makes a thread for each tick, and where there can be none, there is no tick.
                log.error("clock.stands_still", calls=len(due))
                for _ in range(round(_LINGER / TICK)):
                    self._engine.increment_epoch()
        else:
            self._resting = None
            self._clock.stop()

    def interrupt(self) -> None:
        """End every call that runs now, and every later one, at once: for a shutdown that cannot wait."""
        self._interrupted = True
        for _ in range(self._ticks):  # no guest's deadline lies further ahead
            self._engine.increment_epoch()

    def _call(self, module: Module, document: bytes, ticks: int) -> Outcome | None:
        """Everything that can go wrong here is the guest's, or is logged as ours. None: not done within fewer ticks.

        Runs on a guest thread, or with fewer ticks than the time limit has on the event loop's.
        """
        began = time.thread_time()
        with Session(self._limits.logs) as session:
            output, error = b"", None
            try:
                output = self._invoke(module, document, ticks)
            except GuestFault as fault:
                error = str(fault)
            except _Trapped as trapped:
                if trapped.interrupted and ticks < self._ticks and not self._interrupted:
                    module.took(time.thread_time() - began)  # or only kept from running?
                    return None
                error = trapped.reason
            except Exception as unexpected:  # one of the three edges (see docs/architecture.md): nothing gets past it
                log.exception("guest.unexpected_error")
                error = f"the runtime could not make the call: {type(unexpected).__name__}"
            if session.host_error:
                log.error("guest.host_function_failed", error=repr(session.host_error))
            if len(output) > _SMALL and ticks < self._ticks:
                module.took(math.inf)  # to check it is work that the clock does not see
                return None
            error = session.aborted or error or _fault_of(output)
            module.took(time.thread_time() - began)
            if self._interrupted and error and error.startswith("time limit"):
                error = "interrupted: the server shut down"
            if error:
                return Outcome(error=error.replace("\0", "\\u0000"), logs=session.logs)
            return Outcome(output=output, logs=session.logs)

    def _invoke(self, module: Module, document: bytes, ticks: int) -> bytes:
        guest = Guest(self._address, self._limits.memory)
        try:
            guest.set_deadline(ticks)
            if self._interrupted:  # after the line above: either we see it here, or it comes on top of the deadline
                guest.set_deadline(0)
            guest.instantiate(module.ready, module.exports)
            if module.initializes:
                guest.call(abi.INITIALIZE)
            return module.abi.invoke(guest, document, self._limits.output)
        except c_api.Unusable as error:
            raise _Trapped(explain(error.cause, self._limits, guest.memory_size), is_interrupt(error.cause)) from None
        finally:
            guest.close()


def _has_stack(size: int) -> bool:
    """Whether the main thread, which the event loop is in, has a stack of so many bytes."""
    soft, _ = resource.getrlimit(resource.RLIMIT_STACK)
    return soft == resource.RLIM_INFINITY or soft >= size


def _step_back() -> None:
    """Guests that take long give way to the event loop, and to Postgres: on Linux each thread has its own niceness."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


class _Trapped(Exception):
    def __init__(self, reason: str, interrupted: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.interrupted = interrupted


def _fault_of(output: bytes) -> str | None:
    try:
        json_documents.check(output)
    except json_documents.NotJSON as error:
        shown = output[:_INVALID_JSON_SHOWN].decode("utf-8", "replace")
        more = "…" if len(output) > _INVALID_JSON_SHOWN else ""
        return f"invalid JSON: {error}; the output begins: {shown}{more}"
    return None


async def _given(binary: bytes) -> bytes:
    return binary

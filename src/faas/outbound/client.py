"""The client of outbound requests: one for a process, with an event loop in a thread of its own."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from uuid import UUID

import certifi
import uvloop

from faas.outbound.memory import MAX_HELD_BYTES, BodyMemory
from faas.outbound.pools import MAX_CONNECTIONS, FunctionPools
from faas.outbound.resolver import Resolve, Resolver, resolve_with_system
from faas.outbound.secret_values import HostSecret
from faas.outbound.session import OutboundSession
from faas.outbound_patterns import OutboundPatterns

_IDLE_CHECK_SECONDS = 1.0
_CLOSE_SECONDS = 5.0


class OutboundClient:
    """Makes the requests of all functions. The thread starts with the first request, and ends with `close`.

    `resolve` and `tls` replace the resolver of the system and the certificates that are trusted: those of certifi.
    """

    def __init__(
        self,
        *,
        resolve: Resolve = resolve_with_system,
        tls: ssl.SSLContext | None = None,
        max_connections: int = MAX_CONNECTIONS,
        max_held_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        self.memory = BodyMemory(max_held_bytes)
        self._resolve = resolve
        self._tls = tls
        self._max_connections = max_connections
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None  # None where the thread could not start
        # Set by the thread before `_ready` is.
        self._stopping: asyncio.Event
        self._pools: FunctionPools

    def session(
        self,
        function_id: UUID,
        patterns: OutboundPatterns,
        secrets: Sequence[HostSecret],
        deadline_seconds: Callable[[], float],
        wake: Callable[[], None],
    ) -> OutboundSession:
        """Return the session of one execution of a function.

        `deadline_seconds` returns the seconds that the execution has left. `wake` is called when a request completes.
        """
        return OutboundSession(self, function_id, patterns, secrets, deadline_seconds=deadline_seconds, wake=wake)

    def submit(self, work: Callable[[FunctionPools], Coroutine[Any, Any, None]]) -> bool:
        """Begin `work` on the event loop. Returns False if the client is closed."""
        with self._lock:
            if self._closed:
                return False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outbound", daemon=True)
                self._thread.start()
        self._ready.wait()
        return self.call(lambda: self._begin(work))

    def call(self, function: Callable[[], object]) -> bool:
        """Call `function` on the event loop. Returns False if the client is closed."""
        if self._loop is None:
            return False
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def close(self) -> None:
        """Cancel the requests that still run, and close the connections."""
        with self._lock:
            self._closed, thread = True, self._thread
        if thread is None:
            return
        self._ready.wait()
        self.call(self._stopping.set)
        thread.join(_CLOSE_SECONDS)

    def _begin(self, work: Callable[[FunctionPools], Coroutine[Any, Any, None]]) -> None:
        task = asyncio.get_running_loop().create_task(work(self._pools))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        finally:
            self._ready.set()  # also where it did not start, so that no caller waits

    async def _serve(self) -> None:
        tls = self._tls or _trusting_certifi()
        self._stopping = asyncio.Event()
        self._pools = FunctionPools(Resolver(self._resolve), tls, self._max_connections)
        self._loop = asyncio.get_running_loop()
        self._ready.set()
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _IDLE_CHECK_SECONDS)
            self._pools.close_idle()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pools.close_idle(0)


def _trusting_certifi() -> ssl.SSLContext:
    """Return a context that checks certificates. Not Python's default one, which reads SSLKEYLOGFILE."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    return context

"""The outbound requests of one execution, as the thread of its guest uses them: started, taken, closed."""

import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol
from uuid import UUID

import structlog

from faas.outbound.exchange import Exchanges, check_origin
from faas.outbound.heads import checked
from faas.outbound.lifetime import Lifetime
from faas.outbound.memory import BodyMemory, HeldBytes
from faas.outbound.model import (
    MAX_REQUESTS,
    OutboundFailure,
    OutboundRecord,
    OutboundRequest,
    OutboundResponse,
    RequestFailed,
)
from faas.outbound.pools import FunctionPools
from faas.outbound.secret_values import HostSecret, SecretValues
from faas.outbound.urls import Url, parse_url, recorded_text
from faas.outbound_patterns import OutboundPatterns

log = structlog.get_logger()

OutboundResult = OutboundResponse | OutboundFailure

CLOSED = OutboundFailure("the execution ended before the answer was there")
TOO_MANY = OutboundFailure(f"an execution may make {MAX_REQUESTS} requests")
UNKNOWN = OutboundFailure("no request has this number, or its result was taken")
FAILED = OutboundFailure("the request failed for a reason inside the server, which has logged it")


class EventLoopThread(Protocol):
    """What a session needs of the client: its event loop, and the pools that live on it."""

    def submit(self, work: Callable[[FunctionPools], Coroutine[Any, Any, None]]) -> bool:
        """Begin `work` on the event loop. Returns False if the client is closed."""

    @property
    def memory(self) -> BodyMemory:
        """What counts the bytes of bodies."""

    def call(self, function: Callable[[], object]) -> bool:
        """Call `function` on the event loop. Returns False if the client is closed."""


class _Entry:
    """A request from its start until its result is taken."""

    def __init__(self, request: OutboundRequest, memory: BodyMemory) -> None:
        self.held = HeldBytes(memory)
        self.method = request.method[:32]
        self.url = recorded_text(request.url)
        self.started = time.perf_counter()
        self.lifetime: Lifetime | None = None  # while it runs on the event loop
        self.result: OutboundResult | None = None
        self.record: OutboundRecord | None = None

    def settle(self, result: OutboundResult) -> None:
        """Keep the result and its record."""
        milliseconds = round((time.perf_counter() - self.started) * 1000, 3)
        if isinstance(result, OutboundResponse):
            self.record = OutboundRecord(self.method, self.url, result.status, None, milliseconds)
        else:
            self.held.release()
            self.record = OutboundRecord(self.method, self.url, None, result.message, milliseconds)
        self.result = result


def _cancel(entries: list[_Entry]) -> None:
    """End requests. Called on the event loop."""
    for entry in entries:
        if entry.lifetime is not None:
            entry.lifetime.end()


class OutboundSession:
    """The requests of one execution. All methods may be called from any thread, and none of them waits.

    `wake` is called whenever a request completes, until `close` has returned: from the thread of the event loop, or
    from that of `start` for a request that is refused at once.
    """

    def __init__(
        self,
        client: EventLoopThread,
        function_id: UUID,
        patterns: OutboundPatterns,
        secrets: Sequence[HostSecret],
        *,
        deadline_seconds: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self._client = client
        self._function_id = function_id
        self._patterns = patterns
        self._secrets = secrets
        self._secret_values: SecretValues | None = None
        self._deadline_seconds = deadline_seconds
        self._wake = wake
        self._started = 0
        self._entries: dict[int, _Entry] = {}  # by number; the last one may be the first request over the limit
        self._closed = False
        self._lock = threading.RLock()  # held while `wake` is called, so that `close` waits for that

    def start(self, request: OutboundRequest) -> int:
        """Begin a request and return its number, from 1. What the guest does wrong is the result of that number."""
        with self._lock:
            self._started += 1
            number = self._started
            entry = _Entry(request, self._client.memory)
            if number <= MAX_REQUESTS + 1:  # of those over the limit, only the first is recorded
                self._entries[number] = entry
        if number > MAX_REQUESTS or self._closed:
            self._settle(entry, TOO_MANY)
            return number
        try:
            request = checked(request)
            entry.method = request.method
            url = parse_url(request.url)
            entry.url = url.recorded
            check_origin(self._patterns, url.origin)
            entry.held.add(len(request.body))
        except (RequestFailed, ValueError) as refusal:
            self._settle(entry, OutboundFailure(str(refusal)))
            return number
        seconds = self._deadline_seconds()
        if not self._client.submit(lambda pools: self._run(pools, entry, request, url, seconds)):
            self._settle(entry, CLOSED)
        return number

    def take(self, number: int) -> OutboundResult | None:
        """Return the result of a request and forget it, or None while it is not there.

        A number that no request has, or whose result was taken, has a failure as its result.
        """
        with self._lock:
            if MAX_REQUESTS < number <= self._started:
                return TOO_MANY
            entry = self._entries.get(number)
            if entry is None or (entry.record is not None and entry.result is None):
                return CLOSED if entry is not None and self._closed else UNKNOWN
            result, entry.result = entry.result, None
            if result is not None:
                entry.held.release()
            return result

    def close(self) -> None:
        """Cancel the requests that still run, and forget the results. `wake` is not called any more."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = [entry for entry in self._entries.values() if entry.record is None]
            for entry in running:
                entry.settle(CLOSED)
            for entry in self._entries.values():
                entry.result = None
                entry.held.release()
        if running:
            self._client.call(lambda: _cancel(running))

    @property
    def records(self) -> list[OutboundRecord]:
        """The completed requests in the order of their starts; after `close`, all. The last may be over the limit."""
        with self._lock:
            return [entry.record for entry in self._entries.values() if entry.record is not None]

    async def _run(
        self, pools: FunctionPools, entry: _Entry, request: OutboundRequest, url: Url, seconds: float
    ) -> None:
        result: OutboundResult = CLOSED
        try:
            if self._closed:
                return
            entry.lifetime = Lifetime(seconds)
            if self._secret_values is None:
                self._secret_values = SecretValues(self._secrets)
            exchanges = Exchanges(pools, self._function_id, self._patterns, self._secret_values)
            async with entry.lifetime:
                result = await exchanges.send(request, url, entry.held)
        except RequestFailed as failure:
            result = OutboundFailure(str(failure))
        except Exception:
            log.exception("outbound_request.failed", function_id=str(self._function_id), origin=str(url.origin))
            result = FAILED
        finally:
            entry.lifetime = None
            self._settle(entry, result)

    def _settle(self, entry: _Entry, result: OutboundResult) -> None:
        with self._lock:
            if self._closed:
                if entry.record is None:
                    entry.settle(CLOSED)
                    entry.result = None
                return
            entry.settle(result)
            self._wake()

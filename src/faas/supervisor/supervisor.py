"""The supervisor: it has the listening socket, the embedded Postgres and the shared memory, and keeps workers running.

It serves no request and runs no guest. SIGTERM ends all workers, SIGHUP replaces them one by one: a new one serves
before the old one takes no more connections, and the socket is open all the time.
"""

import asyncio
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import msgspec
import structlog

from faas.bootstrap.database import open_database
from faas.errors import ConfigurationError
from faas.peers import CompilerState, Family, PeerMetrics, add_families
from faas.server.certificate import load_certificate
from faas.server.server import KEEP_ALIVE_SECONDS
from faas.server.shutdown import ANSWER_SECONDS
from faas.settings import Settings
from faas.shared_limits import SharedMemory
from faas.shares import share_of
from faas.supervisor.messages import (
    AskCompilerState,
    AskPeers,
    Begin,
    CompilerHealth,
    PeersAnswer,
    Ready,
    Reap,
    Retire,
    Stop,
)
from faas.supervisor.process import WorkerProcess

log = structlog.get_logger()

_FIRST_PAUSE_SECONDS = 0.1  # before a worker that has ended is started again
_MAX_PAUSE_SECONDS = 5.0
_STABLE_SECONDS = 10.0  # a worker that has lived for so long is started again after the first pause
_CLOSE_SECONDS = 15.0  # after its deadline, in which a worker closes what it has open


class Announcements(msgspec.Struct, frozen=True):
    """What the supervisor tells the operator: that it serves, with the URL of the database, and that it shuts down."""

    serving: Callable[[Ready, str], None]
    stopping: Callable[[], None]


async def supervise(settings: Settings, listening: socket.socket, announcements: Announcements) -> None:
    """Serve on `listening` with `settings.workers` processes until a signal. Raises ConfigurationError.

    Raises CancelledError when a signal ends the start.
    """
    supervisor = Supervisor(settings, listening)
    stopping = supervisor.handle_signals(announcements.stopping)
    async with open_database(settings) as (url, _):
        try:
            ready = await supervisor.start()
            announcements.serving(ready, url)
            await stopping.wait()
        finally:
            await supervisor.stop()


class Supervisor:
    """The workers of a server. Use from one event loop."""

    def __init__(self, settings: Settings, listening: socket.socket) -> None:
        self._settings = settings
        self._listening = listening
        slots = 2 * settings.workers + 2  # one that retires may end long after its successor began
        self._memory = SharedMemory.create(slots)
        self._free_slots = set(range(slots))
        self._workers: dict[int, WorkerProcess] = {}  # by number, those that serve or are to
        self._alive: set[WorkerProcess] = set()  # those that retire, too
        self._being_replaced: set[int] = set()
        self._pauses = [_FIRST_PAUSE_SECONDS] * settings.workers
        self._ended: list[Family] = []  # the counts of those that have ended
        self._to_reap: list[UUID] = []
        self._is_stopping = False
        self._has_sent_stop = False
        self._restart = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def handle_signals(self, announce: Callable[[], None]) -> asyncio.Event:
        """Handle SIGINT, SIGTERM and SIGHUP. Returns the event of a shutdown; before `start`, one cancels the task."""
        starting = asyncio.current_task()
        assert starting
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if not self._is_serving and not self._is_stopping:
                self._is_stopping = True
                starting.cancel()
            elif not stopping.is_set():
                announce()
                self._send_stop(immediately=False)
                stopping.set()
            else:
                self._send_stop(immediately=True)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGHUP, self._restart.set)
        return stopping

    @property
    def _is_serving(self) -> bool:
        return len(self._workers) == self._settings.workers

    async def start(self) -> Ready:
        """Start all workers, and return what the first one says. Raises ConfigurationError; then `stop` ends them."""
        started = [await self._start(number) for number in range(self._settings.workers)]
        ready = await asyncio.gather(*(worker.wait_until_ready() for worker in started))
        self._workers = {worker.number: worker for worker in started}
        for worker in started:
            if worker.ended.done():  # between its start and that of the last one
                self._replace_later(worker.number)
        self._run(self._restart_when_asked())
        return ready[0]

    async def stop(self) -> None:
        """Wait until all workers have ended; those that do not are killed."""
        if not self._has_sent_stop:  # the start has failed, or was ended by a signal
            self._send_stop(immediately=True)
        ended = [worker.ended for worker in self._alive]
        if ended:
            seconds = self._settings.shutdown_grace + ANSWER_SECONDS + _CLOSE_SECONDS
            _, running = await asyncio.wait(ended, timeout=seconds)
            for worker in list(self._alive):
                if worker.ended in running:
                    log.error("worker.killed", pid=worker.pid, reason="it has not ended in time")
                    worker.kill()
            if running:
                await asyncio.wait(running)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _send_stop(self, *, immediately: bool) -> None:
        self._is_stopping = self._has_sent_stop = True
        for worker in self._alive:
            worker.send(Stop(immediately))

    # -- starting and replacing -------------------------------------------------------------------------------------

    async def _start(self, number: int) -> WorkerProcess:
        """Start a worker. Raises ConfigurationError."""
        slot = self._free_slots.pop()
        begin = Begin(share_of(self._settings, first=number == 0), slot, self._memory.slots, first=number == 0)
        try:
            worker = await WorkerProcess.start(
                number,
                begin,
                listening=self._listening.fileno(),
                memory=self._memory.descriptor,
                on_question=self._on_question,
            )
        except OSError as error:
            self._free_slots.add(slot)
            raise ConfigurationError(f"a worker cannot be started: {error.strerror}") from None
        self._alive.add(worker)
        worker.ended.add_done_callback(lambda _: self._on_end(worker))
        if self._is_stopping:  # since it was begun
            worker.send(Stop(immediately=True))
        return worker

    def _on_end(self, worker: WorkerProcess) -> None:
        """Take back what a worker has counted; see to its executions and its successor if it was not to end."""
        self._alive.discard(worker)
        self._memory.clear(worker.slot)
        self._free_slots.add(worker.slot)
        self._ended = add_families(self._ended, worker.families)
        if worker.exit_code and worker.ready is not None:
            self._to_reap.append(worker.ready.process_id)
            self._send_reap()
        if self._is_stopping or self._workers.get(worker.number) is not worker:
            return
        log.error("worker.died", pid=worker.pid, exit_code=worker.exit_code)
        if worker.number not in self._being_replaced:
            self._replace_later(worker.number)

    def _send_reap(self) -> None:
        """Let a worker close the executions of those that have died. It is sooner than by their heartbeats."""
        serving = next((worker for worker in self._workers.values() if worker.serves), None)
        if serving is not None:
            for process_id in self._to_reap:
                serving.send(Reap(process_id))
            self._to_reap.clear()

    def _replace_later(self, number: int) -> None:
        self._being_replaced.add(number)
        self._run(self._replace_dead(number))

    async def _replace_dead(self, number: int) -> None:
        """Start a worker in the place of one that has died, until one serves."""
        died = self._workers[number]
        if asyncio.get_running_loop().time() - died.started_at > _STABLE_SECONDS:
            self._pauses[number] = _FIRST_PAUSE_SECONDS
        while not self._is_stopping:
            pause = self._pauses[number]
            self._pauses[number] = min(2 * pause, _MAX_PAUSE_SECONDS)
            await asyncio.sleep(pause)
            try:
                worker = await self._start(number)
                await worker.wait_until_ready()
            except ConfigurationError as error:
                log.error("worker.start_failed", worker="server", error=str(error), retry_in=self._pauses[number])
                continue
            self._install(worker)
            if not worker.ended.done():
                log.info("worker.replaced", pid=worker.pid)
                break
        self._being_replaced.discard(number)

    def _install(self, worker: WorkerProcess) -> None:
        self._workers[worker.number] = worker
        self._send_reap()

    async def _restart_when_asked(self) -> None:
        while True:
            await self._restart.wait()
            self._restart.clear()
            if self._check_certificate():
                await self._restart_all()

    def _check_certificate(self) -> bool:
        """Return whether new workers could serve with the files of the certificate; if not, none is replaced."""
        certificate, key = self._settings.tls_cert, self._settings.tls_key
        if certificate is None or key is None:
            return True
        try:
            loaded = load_certificate(certificate, key)
        except ConfigurationError as error:
            log.error("certificate.reload_failed", error=str(error))
            return False
        log.info("certificate.reloaded", file=str(certificate), expires=loaded.expires.isoformat())
        return True

    async def _restart_all(self) -> None:
        """Replace the workers one by one. Stops at the first one that cannot be replaced; the old ones serve on."""
        log.info("restart.started", workers=self._settings.workers)
        for number in range(self._settings.workers):
            if number in self._being_replaced:  # its successor starts now
                continue
            self._being_replaced.add(number)
            try:
                await self._replace_serving(number)
            except ConfigurationError as error:
                log.error("restart.failed", error=str(error), meaning="the workers that are left serve on")
                return
            finally:
                self._being_replaced.discard(number)
                if self._workers[number].ended.done() and not self._is_stopping:
                    self._replace_later(number)
        log.info("restart.finished", workers=self._settings.workers)

    async def _replace_serving(self, number: int) -> None:
        """Start a successor, and let the worker retire when that serves. Raises ConfigurationError."""
        successor = await self._start(number)
        await successor.wait_until_ready()
        retiring = self._workers[number]
        retiring.is_retiring = True
        self._install(successor)
        retiring.send(Retire())
        seconds = KEEP_ALIVE_SECONDS + self._settings.shutdown_grace + ANSWER_SECONDS + _CLOSE_SECONDS
        await asyncio.wait([retiring.ended], timeout=seconds)
        if not retiring.ended.done():
            log.error("worker.killed", pid=retiring.pid, reason="it has not ended in time")
            retiring.kill()
            await asyncio.wait([retiring.ended])

    # -- questions of workers ---------------------------------------------------------------------------------------

    def _on_question(self, worker: WorkerProcess, question: AskPeers | AskCompilerState) -> None:
        if isinstance(question, AskPeers):
            self._run(self._answer_metrics(worker, question.number))
        else:
            self._run(self._answer_compiler_state(worker, question.number))

    async def _answer_metrics(self, worker: WorkerProcess, number: int) -> None:
        others = [other for other in self._alive if other is not worker and other.ready is not None]
        await asyncio.gather(*(other.update_metrics() for other in others))
        # One that has ended since is among the ended.
        present = [other.families for other in self._alive if other is not worker]
        worker.send(PeersAnswer(number, PeerMetrics(present, self._ended)))

    async def _answer_compiler_state(self, worker: WorkerProcess, number: int) -> None:
        state: CompilerState | None = None
        first = self._workers.get(0)
        if first is not None and first.serves:
            state = await first.ask_compiler_state()
        worker.send(CompilerHealth(number, state))

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

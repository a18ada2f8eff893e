"""The program of a worker: serves on the socket that it has inherited, until the supervisor or a signal says to end.

A worker whose supervisor has ended stops immediately, as the single process of a server would have been killed.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import uvloop

from faas import logs
from faas.bootstrap import Membership, Service, open_service
from faas.errors import FaasError
from faas.peers import CompilerState, Family, PeerMetrics, collect_families
from faas.server.certificate import ServerCertificate
from faas.server.log_streams import ignore_broken_log_pipes
from faas.server.server import tune_garbage_collector
from faas.server.shutdown import GracefulShutdown
from faas.server.worker_server import WorkerServer
from faas.shared_limits import SharedMemory
from faas.supervisor.channel import Channel
from faas.supervisor.messages import (
    AskCompilerState,
    AskMetrics,
    AskPeers,
    Begin,
    CompilerHealth,
    Failed,
    Message,
    Metrics,
    PeersAnswer,
    Ready,
    Reap,
    Retire,
    Stop,
)
from faas.supervisor.questions import Questions


def main() -> None:
    """Serve as a worker. The arguments are the descriptors of the channel, the listening socket and the memory."""
    descriptors = [int(argument) for argument in sys.argv[1:4]]
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_run(*descriptors)))


async def _run(channel_descriptor: int, listening_descriptor: int, memory_descriptor: int) -> int:
    channel = await Channel.open(socket.socket(fileno=channel_descriptor))
    begin = await channel.receive()
    if not isinstance(begin, Begin):  # the supervisor has ended
        return 0
    ignore_broken_log_pipes()
    logs.configure(begin.settings.log_format, begin.settings.log_level)
    worker = _Worker(begin, channel, SharedMemory(memory_descriptor, begin.slots))
    try:
        await worker.serve(socket.socket(fileno=listening_descriptor))
    except FaasError as error:
        channel.send(Failed(str(error)))
        return 2
    else:
        channel.send(Metrics(None, collect_families()))
    finally:
        await channel.close()
    return 0


class _Worker:
    """What a worker does with the messages of the supervisor. It is the Peers of its own service."""

    def __init__(self, begin: Begin, channel: Channel, memory: SharedMemory) -> None:
        self._settings = begin.settings
        self._channel = channel
        self._shared = memory.limits(begin.slot)
        self._first = begin.first
        self._shutdown = GracefulShutdown(begin.settings.shutdown_grace)
        self._service: Service | None = None
        self._server: WorkerServer | None = None
        self._peer_questions: Questions[PeerMetrics] = Questions()
        self._compiler_questions: Questions[CompilerState | None] = Questions()
        self._tasks: set[asyncio.Task[object]] = set()
        self._is_stopping = False

    async def serve(self, listening: socket.socket) -> None:
        """Serve until the end. Raises FaasError when that cannot begin."""
        self._shutdown.handle_signals()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, _ignore)  # it is for the supervisor
        receiving = asyncio.create_task(self._receive(), name="supervisor")
        membership = Membership(self._shared, self, self._first)
        certificate, key = self._settings.tls_cert, self._settings.tls_key
        served = ServerCertificate(certificate, key) if certificate and key else None
        address = listening.getsockname()[0]
        try:
            async with open_service(
                self._settings, self._shutdown, bound_address=address, membership=membership
            ) as service:
                self._service = service
                server = self._server = WorkerServer(
                    service.application,
                    service.protocol,
                    self._shutdown,
                    ssl_context=served.context if served else None,
                    connections=self._shared.connections,
                    on_started=self._report_ready,
                )
                tune_garbage_collector()
                await server.serve_until_shutdown(listening, interrupt=service.runtime.interrupt)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._shutdown.is_starting or task is None:
                raise
            task.uncancel()
        finally:
            receiving.cancel()

    async def metrics(self, own: list[Family]) -> PeerMetrics:
        """Return the metrics of the other workers."""
        # The supervisor waits for each of them, for less long than this.
        with suppress(TimeoutError):
            return await self._peer_questions.ask(lambda number: self._channel.send(AskPeers(number, own)), 5)
        return PeerMetrics([], [])

    async def compiler_state(self) -> CompilerState | None:
        """Return the health of the worker that compiles."""
        with suppress(TimeoutError):
            return await self._compiler_questions.ask(lambda number: self._channel.send(AskCompilerState(number)))
        return None

    def _report_ready(self) -> None:
        service = self._service
        assert service
        self._channel.send(Ready(service.process_id, service.gate.state, service.gate.any_admitted))

    async def _receive(self) -> None:
        while (message := await self._channel.receive()) is not None:
            self._handle(message)
        self._stop(immediately=True)

    def _handle(self, message: Message) -> None:
        match message:
            case Stop():
                self._stop(immediately=message.immediately)
            case Retire():
                self._start(self._retire())
            case Reap():
                if self._service is not None:
                    self._start(self._service.heartbeat.reap_dead(message.process_id))
            case AskMetrics():
                if self._service is not None:
                    self._service.health.update_own_gauges()
                self._channel.send(Metrics(message.number, collect_families()))
            case AskCompilerState():
                state = self._service.health.compiler_state() if self._service else None
                self._channel.send(CompilerHealth(message.number, state))
            case PeersAnswer():
                self._peer_questions.answer(message.number, message.metrics)
            case CompilerHealth():
                self._compiler_questions.answer(message.number, message.state)
            case _:
                raise AssertionError(message)

    def _stop(self, *, immediately: bool = False) -> None:
        """Shut down. A signal and the supervisor's message, which a service manager may cause both, are one request."""
        if not self._is_stopping:
            self._is_stopping = True
            self._shutdown.request()
        if immediately and not self._shutdown.is_starting:
            self._shutdown.request()

    async def _retire(self) -> None:
        if self._server is not None:
            await self._server.retire()
        self._stop()

    def _start(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _ignore() -> None:
    pass


if __name__ == "__main__":
    main()

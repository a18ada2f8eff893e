"""The service of a process: its application and everything behind it.

A process opens these connection pools; `--database-pool` is the size of the first. The listener holds one connection
more, outside the pools.

| pool | connections | roles |
|---|---|---|
| requests and consumers | 16 | all, api, compiler |
| heartbeat | 1 | all, api, compiler |
| access | 1 | all, api, compiler |
| starts of executions | 1 | all, api |
| ends of executions | 2 | all, api |
| retention | 1 | all, api |
| engine upgrade, while there is one | 1 | all, compiler |
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from uuid import UUID

import msgspec
import structlog
from litestar.types import ASGIApp
from uuid_utils.compat import uuid7

from faas.access.service import TokenService
from faas.api.access import AccessGate
from faas.api.application import create_application, create_compiler_application
from faas.api.endpoint import EndpointHandler
from faas.api.hosts import HostPolicy
from faas.api.invocation import InvocationHandler
from faas.audit import AuditTrail
from faas.bootstrap.access import open_gate
from faas.bootstrap.background_tasks import run_consumer, run_in_background
from faas.bootstrap.compilers import image_taker, load_cached_engines, open_compilers, open_engines, open_runtime
from faas.bootstrap.database import open_database, open_database_of_supervisor
from faas.bootstrap.membership import Membership, queues_of
from faas.bootstrap.secrets import open_secrets
from faas.compile.languages import Compiler
from faas.compile.worker import CompilationWorker
from faas.database.pool import Pool, open_pool
from faas.engines import EngineCatalogue, EngineStore
from faas.errors import ConfigurationError, DatabaseUnavailable
from faas.executions.heartbeat import HEARTBEAT_SESSION_SETTINGS, HeartbeatMonitor
from faas.executions.reach import ReachResolver
from faas.executions.recorder import ExecutionRecorder, open_recorder
from faas.executions.retry_buffer import RetryBuffer
from faas.executions.service import ExecutionService
from faas.functions.compile_results import CompileResultHandler
from faas.functions.engine_upgrade import EngineUpgrade
from faas.functions.module_cleanup import ModuleCleanup
from faas.functions.revisions import RevisionService
from faas.functions.service import FunctionRules, FunctionService
from faas.health import HealthChecker
from faas.outbound import OutboundClient
from faas.peers import CompilerState
from faas.queue import messages
from faas.queue.consumer import Consumer
from faas.queue.listener import Listener
from faas.retention.task import RetentionTask
from faas.runtime import Runtime
from faas.secret_store.vault import SecretVault
from faas.server.fast_path import FastPathProtocol
from faas.server.limits import LimitedHttpProtocol
from faas.server.shutdown import GracefulShutdown
from faas.settings import Settings

log = structlog.get_logger()

_RESULT_CONCURRENCY = 4  # compilation results applied at the same time


class Service(msgspec.Struct, frozen=True):
    """A running service: the ASGI application and the HTTP protocol to serve it with, the runtime, which a shutdown
    may interrupt, the URL of the database, the gate that knows whether tokens are asked for, the health of its
    components, and the heartbeats of this process and its peers."""

    application: ASGIApp
    protocol: Callable[..., asyncio.Protocol]
    runtime: Runtime
    database_url: str
    gate: AccessGate
    health: HealthChecker
    heartbeat: HeartbeatMonitor
    process_id: UUID


@asynccontextmanager
async def open_service(
    settings: Settings,
    shutdown: GracefulShutdown | None = None,
    *,
    bound_address: str | None = None,
    membership: Membership | None = None,
) -> AsyncIterator[Service]:
    """Open a service, and stop its components in reverse order at the end. Raises ConfigurationError.

    Executions in flight are drained until the deadline of `shutdown`. `bound_address` is the address that the server
    listens on, by default the setting `host`. `membership` is for one of several workers, whose supervisor has opened
    the database.
    """
    shutdown = shutdown or GracefulShutdown(settings.shutdown_grace)
    if settings.role == "compiler" and not settings.database_url:
        raise ConfigurationError("the role compiler needs --database-url: the Postgres that the other processes use")
    async with AsyncExitStack() as stack:
        url = await _open_database(stack, settings, membership)
        pool = await stack.enter_async_context(open_pool(url, settings.database_pool))
        catalogue = open_engines(stack)
        engines = EngineStore(pool, catalogue)
        gate = await open_gate(stack, settings, url, membership.shared if membership else None)
        runtime = await open_runtime(stack, settings, engines.load, cache=settings.data_dir / "artifacts")
        stack.callback(shutdown.finish)
        await run_in_background(stack, load_cached_engines(runtime, catalogue), "engines-load")
        await run_in_background(stack, runtime.precompiler_pool.keep_warm(), "precompiler-keep-warm")
        process_id = uuid7()
        heartbeat = await _open_heartbeat(stack, url, process_id)
        queues = queues_of(settings, membership)
        listener = Listener(url, queues)
        await run_in_background(stack, listener.run(), "listener")
        consumers: dict[str, Consumer] = {}
        if messages.COMPILATION_RESULTS in queues:
            consumers[messages.COMPILATION_RESULTS] = _results_consumer(settings, pool, runtime, engines, listener)
            await run_in_background(stack, ModuleCleanup(pool).run(), "module-cleanup")
        compilers: dict[str, Compiler] = {}
        if messages.COMPILATION_JOBS in queues:
            compilers = await _open_compilers(stack, settings, runtime, catalogue)
            worker = CompilationWorker(pool, runtime, engines, compilers, settings.compile_output_limit)
            consumers[messages.COMPILATION_JOBS] = _jobs_consumer(settings, pool, listener, worker)
            upgrade = EngineUpgrade(
                pool,
                runtime,
                engines,
                take_image=image_taker(compilers),
                languages=list(compilers),
                open_own_pool=partial(open_pool, url, 1),
            )
            await run_in_background(stack, upgrade.run(), "engine-upgrade")
        for queue, consumer in consumers.items():
            await run_consumer(stack, queue, consumer)

        secrets = None if settings.role == "compiler" else await open_secrets(pool, settings.secret_key_path)
        health = HealthChecker(
            settings.role,
            pool,
            listener,
            consumers,
            compilers,
            runtime,
            secrets.keyring if secrets else None,
            _compiling_peer(settings, membership),
        )
        hosts = HostPolicy(bound_address or settings.host, settings.host, settings.allowed_hosts)
        protocol: Callable[..., asyncio.Protocol] = LimitedHttpProtocol
        if secrets is None:
            application = create_compiler_application(
                gate=gate, check_health=health.check, update_metrics=health.update_gauges, hosts=hosts
            )
        else:
            if membership is None or membership.first:
                await _open_retention(stack, settings, url)
            recorder = await stack.enter_async_context(open_recorder(url, pool, process_id))
            executions = await _open_executions(
                stack, settings, pool, runtime, recorder, vault=secrets.vault, membership=membership
            )
            stack.push_async_callback(_drain, executions, shutdown)
            invocations, endpoints = InvocationHandler(executions), EndpointHandler(executions)
            protocol = partial(FastPathProtocol, invocations=invocations, endpoints=endpoints, gate=gate, hosts=hosts)
            application = create_application(
                functions_service=FunctionService(pool, _function_rules(settings)),
                revisions_service=RevisionService(pool),
                executions_service=executions,
                tokens_service=TokenService(pool),
                secrets_service=secrets.service,
                audit_trail=AuditTrail(pool),
                gate=gate,
                invocations=invocations,
                endpoints=endpoints,
                check_health=health.check,
                update_metrics=health.update_gauges,
                input_limit=settings.input_limit,
                hosts=hosts,
                cors_origins=settings.cors_origins,
                peers=membership.peers if membership else None,
            )
        yield Service(application, protocol, runtime, url, gate, health, heartbeat, process_id)


async def _open_database(stack: AsyncExitStack, settings: Settings, membership: Membership | None) -> str:
    if membership is not None:
        return await stack.enter_async_context(open_database_of_supervisor(settings))
    url, _ = await stack.enter_async_context(open_database(settings))
    return url


def _compiling_peer(
    settings: Settings, membership: Membership | None
) -> Callable[[], Awaitable[CompilerState | None]] | None:
    if membership is None or membership.first or settings.role != "all":
        return None
    return membership.peers.compiler_state


async def _open_heartbeat(stack: AsyncExitStack, url: str, process_id: UUID) -> HeartbeatMonitor:
    # The heartbeat has its own connection: a busy pool must not make this process look dead to its peers.
    pool = await stack.enter_async_context(open_pool(url, 1, HEARTBEAT_SESSION_SETTINGS))
    monitor = HeartbeatMonitor(pool, process_id)
    await monitor.send_heartbeat()
    stack.push_async_callback(_deregister, monitor)
    await run_in_background(stack, monitor.run(), "heartbeat")
    return monitor


async def _open_compilers(
    stack: AsyncExitStack, settings: Settings, runtime: Runtime, catalogue: EngineCatalogue
) -> dict[str, Compiler]:
    compilers = open_compilers(stack, settings, runtime, catalogue, settings.languages)
    for language, compiler in compilers.items():
        await run_in_background(stack, compiler.keep_warm(), f"compiler-keep-warm:{language}")
    return compilers


async def _open_retention(stack: AsyncExitStack, settings: Settings, url: str) -> None:
    # A run of retention holds a connection for its pauses, too: requests do not wait for it.
    retention = RetentionTask(await stack.enter_async_context(open_pool(url, 1)), settings)
    await retention.prepare()
    await run_in_background(stack, retention.run(), "retention")


async def _open_executions(
    stack: AsyncExitStack,
    settings: Settings,
    pool: Pool,
    runtime: Runtime,
    recorder: ExecutionRecorder,
    *,
    vault: SecretVault,
    membership: Membership | None,
) -> ExecutionService:
    outbound = OutboundClient()
    stack.push_async_callback(asyncio.to_thread, outbound.close)
    reach = ReachResolver(pool, vault, outbound)
    retry_buffer = RetryBuffer(recorder)
    stack.push_async_callback(retry_buffer.flush)
    await run_in_background(stack, retry_buffer.run(), "retry-buffer")
    return ExecutionService(
        pool,
        runtime,
        recorder,
        retry_buffer,
        reach,
        max_in_flight=settings.max_in_flight,
        shared=membership.shared if membership else None,
    )


def _function_rules(settings: Settings) -> FunctionRules:
    return FunctionRules(
        languages=settings.languages,
        max_time=settings.time_limit,
        max_memory=settings.memory_limit,
        keep_revisions=settings.keep_revisions,
    )


async def _drain(executions: ExecutionService, shutdown: GracefulShutdown) -> None:
    await executions.drain(shutdown.remaining_seconds())


def _results_consumer(
    settings: Settings, pool: Pool, runtime: Runtime, engines: EngineStore, listener: Listener
) -> Consumer:
    return Consumer(
        pool,
        messages.COMPILATION_RESULTS,
        CompileResultHandler(pool, runtime, engines),
        listener.event(messages.COMPILATION_RESULTS),
        concurrency=_RESULT_CONCURRENCY,
        visibility_timeout=settings.visibility_timeout,
        poll_interval=settings.poll_interval,
    )


def _jobs_consumer(settings: Settings, pool: Pool, listener: Listener, worker: CompilationWorker) -> Consumer:
    return Consumer(
        pool,
        messages.COMPILATION_JOBS,
        worker,
        listener.event(messages.COMPILATION_JOBS),
        concurrency=settings.compile_workers,
        visibility_timeout=settings.visibility_timeout,
        poll_interval=settings.poll_interval,
    )


async def _deregister(heartbeat_monitor: HeartbeatMonitor) -> None:
    try:
        await heartbeat_monitor.deregister()
    except DatabaseUnavailable as error:
        log.warning("heartbeat.deregister_failed", error=str(error))

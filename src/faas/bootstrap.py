"""The composition root: settings in, running services out. The one exit stack that starts and stops everything."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, get_args

import asyncpg
import msgspec
import structlog
from litestar.types import ASGIApp
from uuid_utils.compat import uuid7

from faas.api.application import create_application, create_compiler_application
from faas.api.invocation import InvocationHandler
from faas.compile.languages import Compiler
from faas.compile.languages.assemblyscript import AssemblyScriptCompiler, find_node
from faas.compile.languages.wasm import WasmCompiler
from faas.compile.languages.wat import WatCompiler
from faas.compile.worker import CompilationJobs
from faas.database.migrations import ensure_database, migrate
from faas.database.pool import CANNOT_CONNECT, TRANSIENT, Pool, explain, open_pool, reason
from faas.database.postgres.server import DATABASE, EmbeddedPostgres
from faas.errors import ConfigurationError, DatabaseUnavailable
from faas.executions.liveness import HeartbeatMonitor
from faas.executions.recorder import ExecutionRecorder, open_recorder
from faas.executions.retry import RetryBuffer
from faas.executions.service import ExecutionService
from faas.functions.compile_results import CompilationResults
from faas.functions.service import Functions
from faas.health import HealthChecker
from faas.languages import Language
from faas.queue import messages
from faas.queue.consumer import Consumer
from faas.queue.listener import Listener
from faas.runtime import Artifacts, Limits, Runtime
from faas.server.fast_path import FastPathProtocol
from faas.server.limits import LimitedHttpProtocol
from faas.server.shutdown import GracefulShutdown
from faas.settings import Role, Settings

log = structlog.get_logger()

# What a process of each role reads. Every role has a heartbeat, health and metrics.
_QUEUES: dict[Role, list[str]] = {
    "all": [messages.COMPILATION_JOBS, messages.COMPILATION_RESULTS],
    "api": [messages.COMPILATION_RESULTS],
    "compiler": [messages.COMPILATION_JOBS],
}
_RESULT_CONCURRENCY = 4
_FIRST_READ_TIMEOUT = 10.0


class Service(msgspec.Struct, frozen=True):
    """A running faas: its ASGI application, the HTTP protocol to serve it with, the runtime to interrupt when it must
    end, and its database."""

    application: ASGIApp
    protocol: Callable[..., asyncio.Protocol]
    runtime: Runtime
    database_url: str


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[tuple[str, list[str]]]:
    """The database of `settings`, started when it is the embedded one, and migrated: its URL and what was applied."""
    async with AsyncExitStack() as stack:
        if settings.database_url:
            url = settings.database_url
            way_back = "faas backup FILE --database-url URL"
        else:
            way_back = f"faas backup FILE --data-dir {settings.data_dir}"
            postgres = EmbeddedPostgres(settings.data_dir)
            await postgres.start()
            stack.push_async_callback(postgres.stop)
            url = postgres.url
            await ensure_database(url, DATABASE)
        yield url, await _migrate(url, way_back)


class Local(msgspec.Struct, frozen=True):
    """What compiles and runs functions, without a database or a port."""

    compilers: Mapping[str, Compiler]
    runtime: Runtime


@asynccontextmanager
async def open_local(settings: Settings) -> AsyncIterator[Local]:
    """The compilers and the runtime alone, each process started when it is first needed."""
    async with AsyncExitStack() as stack:
        runtime = await _open_runtime(stack, settings, cache=None)
        yield Local(_open_compilers(stack, settings, runtime, get_args(Language)), runtime)


@asynccontextmanager
async def open_service(settings: Settings, shutdown: GracefulShutdown | None = None) -> AsyncIterator[Service]:
    """Everything, started in the order of its needs and stopped in reverse. Raises ConfigurationError.

    Executions in flight are drained until the deadline of `shutdown`.
    """
    shutdown = shutdown or GracefulShutdown(settings.shutdown_grace)
    if settings.role == "compiler" and not settings.database_url:
        raise ConfigurationError("the role compiler needs --database-url: the Postgres that the other processes use")
    async with AsyncExitStack() as stack:
        url, _ = await stack.enter_async_context(open_database(settings))
        pool = await stack.enter_async_context(open_pool(url, settings.database_pool))
        runtime = await _open_runtime(stack, settings, cache=settings.data_dir / "artifacts")
        stack.callback(shutdown.finish)
        await _background(stack, runtime.processes.keep_ready(), "wasm-keep-ready")
        process_id = uuid7()
        # A connection of its own: requests that wait for one must not make this process look dead.
        heartbeat_monitor = HeartbeatMonitor(await stack.enter_async_context(open_pool(url, 1)), process_id)
        await heartbeat_monitor.heartbeat()
        stack.push_async_callback(_deregister, heartbeat_monitor)
        await _background(stack, heartbeat_monitor.run(), "heartbeat")
        listener = Listener(url, _QUEUES[settings.role])
        await _background(stack, listener.run(), "listener")
        consumers: dict[str, Consumer] = {}
        if messages.COMPILATION_RESULTS in _QUEUES[settings.role]:
            consumers[messages.COMPILATION_RESULTS] = _results_consumer(settings, pool, runtime, listener)
        compilers: dict[str, Compiler] = {}
        if messages.COMPILATION_JOBS in _QUEUES[settings.role]:
            compilers = _open_compilers(stack, settings, runtime, settings.languages)
            assemblyscript = compilers.get("assemblyscript")
            if isinstance(assemblyscript, AssemblyScriptCompiler):
                await _background(
                    stack, assemblyscript.pool.keep_ready(settings.compile_workers), "compiler-keep-ready"
                )
            consumers[messages.COMPILATION_JOBS] = _jobs_consumer(settings, pool, runtime, listener, compilers)
        for queue, consumer in consumers.items():
            await _consume(stack, queue, consumer)

        health = HealthChecker(settings.role, pool, listener, consumers, compilers, runtime)
        protocol: Callable[..., asyncio.Protocol] = LimitedHttpProtocol
        if settings.role == "compiler":
            application = create_compiler_application(check_health=health.check, update_metrics=health.update_gauges)
        else:
            recorder = await stack.enter_async_context(open_recorder(url, pool, process_id))
            executions = await _open_executions(stack, settings, pool, runtime, recorder)
            stack.push_async_callback(_drain, executions, shutdown)
            invocations = InvocationHandler(executions)
            protocol = partial(FastPathProtocol, invocations=invocations)
            application = create_application(
                functions_service=Functions(pool, settings.languages),
                executions_service=executions,
                invocations=invocations,
                check_health=health.check,
                update_metrics=health.update_gauges,
                input_limit=settings.input_limit,
            )
        yield Service(application, protocol, runtime, url)


# -- the database ------------------------------------------------------------------------------------------------------


async def _migrate(url: str, way_back: str) -> list[str]:
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except CANNOT_CONNECT as error:
        raise ConfigurationError(explain(error)) from None
    try:
        return await migrate(connection, way_back=way_back)
    except (*TRANSIENT, asyncpg.PostgresError) as error:
        raise ConfigurationError(f"cannot migrate the database: {reason(error)}") from None
    finally:
        await connection.close()


# -- the parts that compile and run ------------------------------------------------------------------------------------


async def _open_runtime(stack: AsyncExitStack, settings: Settings, *, cache: Path | None) -> Runtime:
    limits = Limits(
        time=settings.time_limit,
        memory=settings.memory_limit,
        stack=settings.stack_limit,
        input=settings.input_limit,
        output=settings.output_limit,
        logs=settings.log_limit,
    )
    artifacts = Artifacts(
        stack=settings.stack_limit,
        timeout=settings.compile_timeout,
        memory=settings.compile_memory,
        workers=settings.compile_workers,
        cache=cache,
    )
    return await stack.enter_async_context(
        Runtime(limits, artifacts, threads=settings.max_in_flight, cached_modules=settings.module_cache)
    )


# -- executions --------------------------------------------------------------------------------------------------------


async def _open_executions(
    stack: AsyncExitStack, settings: Settings, pool: Pool, runtime: Runtime, recorder: ExecutionRecorder
) -> ExecutionService:
    retry_buffer = RetryBuffer(recorder)
    stack.push_async_callback(retry_buffer.flush)
    await _background(stack, retry_buffer.run(), "retry-buffer")
    return ExecutionService(pool, runtime, recorder, retry_buffer, settings.max_in_flight)


async def _drain(executions: ExecutionService, shutdown: GracefulShutdown) -> None:
    await executions.drain(shutdown.remaining_seconds())


# -- the queues --------------------------------------------------------------------------------------------------------


def _results_consumer(settings: Settings, pool: Pool, runtime: Runtime, listener: Listener) -> Consumer:
    return Consumer(
        pool,
        messages.COMPILATION_RESULTS,
        CompilationResults(pool, runtime),
        listener.event(messages.COMPILATION_RESULTS),
        concurrency=_RESULT_CONCURRENCY,
        visibility_timeout=settings.visibility_timeout,
        poll_interval=settings.poll_interval,
    )


def _jobs_consumer(
    settings: Settings, pool: Pool, runtime: Runtime, listener: Listener, compilers: dict[str, Compiler]
) -> Consumer:
    return Consumer(
        pool,
        messages.COMPILATION_JOBS,
        CompilationJobs(pool, runtime, compilers, settings.compile_output_limit),
        listener.event(messages.COMPILATION_JOBS),
        concurrency=settings.compile_workers,
        visibility_timeout=settings.visibility_timeout,
        poll_interval=settings.poll_interval,
    )


def _open_compilers(
    stack: AsyncExitStack, settings: Settings, runtime: Runtime, languages: Iterable[Language]
) -> dict[str, Compiler]:
    opened: dict[Language, Callable[[], Compiler]] = {
        "assemblyscript": partial(_open_assemblyscript, stack, settings),
        "wat": partial(WatCompiler, runtime),
        "wasm": partial(WasmCompiler, runtime),
    }
    return {language: opened[language]() for language in languages}


def _open_assemblyscript(stack: AsyncExitStack, settings: Settings) -> AssemblyScriptCompiler:
    find_node()
    assemblyscript = AssemblyScriptCompiler(
        workers=settings.compile_workers,
        timeout=settings.compile_timeout,
        memory=settings.compile_memory,
        output_limit=settings.compile_output_limit,
    )
    stack.push_async_callback(assemblyscript.close)
    return assemblyscript


async def _consume(stack: AsyncExitStack, queue: str, consumer: Consumer) -> None:
    """Run `consumer` until the stack closes; what it has in hand then goes back to the queue for another process.

    Returns when it has read its queue once, so that the service is up when it says so.
    """
    task = asyncio.create_task(consumer.run(), name=f"consumer:{queue}")

    async def stop() -> None:
        consumer.cancel()
        await task

    stack.push_async_callback(stop)
    with suppress(TimeoutError):  # then /health says what is wrong
        await asyncio.wait_for(consumer.first_read.wait(), _FIRST_READ_TIMEOUT)


# -- background tasks ---------------------------------------------------------------------------------------


async def _background(stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
    """Run `work` until it ends or the stack closes. That it breaks is logged, never swallowed."""
    task = asyncio.create_task(work, name=name)

    def report(done: asyncio.Task[None]) -> None:
        if not done.cancelled() and done.exception():
            log.critical("background.broke", task=name, exc_info=done.exception())

    task.add_done_callback(report)

    async def stop() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task

    stack.push_async_callback(stop)


async def _deregister(heartbeat_monitor: HeartbeatMonitor) -> None:
    try:
        await heartbeat_monitor.deregister()
    except DatabaseUnavailable as error:
        log.warning("heartbeat.deregister_failed", error=str(error))

"""Health checks of a process, and the gauges that are measured when /metrics is read."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

import asyncpg
import msgspec

from faas import __version__, metrics
from faas.api.schemas import Health
from faas.backup.manifest import TABLES
from faas.compile.languages import Compiler
from faas.database.pool import TRANSIENT_ERRORS, Pool, acquire
from faas.errors import DatabaseUnavailable
from faas.peers import CompilerState
from faas.queue import messages
from faas.queue import pgmq as queue
from faas.queue.consumer import Consumer
from faas.queue.listener import Listener
from faas.retention.queries import measure_tables
from faas.runtime import Runtime
from faas.secret_store.key_file import Keyring
from faas.secret_store.state import describe_state
from faas.settings import Role

_DATABASE_TIMEOUT_SECONDS = 2.0


class HealthChecker(msgspec.Struct, frozen=True):
    """Reports the health of each component and updates gauges. Without a keyring, the process opens no secrets.

    Where another worker of the server compiles, `compiling_peer` asks it for the health of its components.
    """

    role: Role
    pool: Pool
    listener: Listener
    consumers: dict[str, Consumer]
    compilers: dict[str, Compiler]
    runtime: Runtime
    keyring: Keyring | None = None
    compiling_peer: Callable[[], Awaitable[CompilerState | None]] | None = None

    async def check(self) -> Health:
        """Return the health of each component.

        The process is DOWN when the database, a consumer, the precompiler or every toolchain is. Without the toolchain
        of one language it is UP: all functions run, and the others compile. Without the listener it is UP: consumers
        then fall back to polling. So it is without the key of the secrets: functions that name none run.
        """
        database = await self._check_database()
        own = self.compiler_state()
        consumers, toolchains = own.consumers, own.toolchains
        if self.compiling_peer is not None:
            consumers, toolchains = _joined(own, await self.compiling_peer())
        required = [database, *consumers.values(), self.runtime.precompiler_state]
        if all(state.startswith("DOWN") for state in toolchains.values()):
            required += toolchains.values()
        status: Literal["UP", "DOWN"] = "DOWN" if any(state.startswith("DOWN") for state in required) else "UP"
        consumers["listener"] = "UP" if self.listener.connected else "DOWN: falling back to polling"
        return Health(
            status=status,
            version=__version__,
            role=self.role,
            database=database,
            consumers=consumers,
            toolchains=toolchains,
            secrets=await self._check_secrets(),
        )

    def compiler_state(self) -> CompilerState:
        """Return the health of the consumers and the toolchains of this process."""
        consumers = {
            name: "UP" if consumer.healthy else "DOWN: cannot read its queue"
            for name, consumer in self.consumers.items()
        }
        toolchains = {language: compiler.state() for language, compiler in self.compilers.items()}
        if not toolchains:  # Without compilers, modules are still precompiled: of results, and before first executions.
            toolchains = {"compiler": "OFF", "wasm": self.runtime.precompiler_state}
        return CompilerState(consumers, toolchains)

    async def update_gauges(self) -> None:
        """Set the gauges of the connection pool, the queues and the tables. All but the first need the database."""
        self.update_own_gauges()
        with suppress(TimeoutError, DatabaseUnavailable, asyncpg.PostgresError):
            async with asyncio.timeout(_DATABASE_TIMEOUT_SECONDS), acquire(self.pool) as connection:
                await queue.measure(connection, [messages.COMPILATION_JOBS, messages.COMPILATION_RESULTS])
                for table in await measure_tables(connection, tables=TABLES):
                    metrics.TABLE_BYTES.labels(table.name).set(table.bytes)

    def update_own_gauges(self) -> None:
        """Set the gauges of the connection pool, which is this process's own."""
        idle = self.pool.get_idle_size()
        metrics.DATABASE_CONNECTIONS.labels("idle").set(idle)
        metrics.DATABASE_CONNECTIONS.labels("used").set(self.pool.get_size() - idle)

    async def _check_secrets(self) -> str:
        if self.keyring is None:
            return "OFF"
        try:
            async with asyncio.timeout(_DATABASE_TIMEOUT_SECONDS), self.pool.acquire() as connection:
                return await describe_state(connection, self.keyring)
        except (*TRANSIENT_ERRORS, asyncpg.PostgresError) as error:
            return f"DOWN: {type(error).__name__}"

    async def _check_database(self) -> str:
        try:
            async with asyncio.timeout(_DATABASE_TIMEOUT_SECONDS), self.pool.acquire() as connection:
                await connection.execute("SELECT 1")
        except (*TRANSIENT_ERRORS, asyncpg.PostgresError) as error:
            return f"DOWN: {type(error).__name__}"
        return "UP"


def _joined(own: CompilerState, compiling: CompilerState | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return the consumers and the toolchains of a worker and of the one that compiles for it.

    While that one is replaced, deploys wait for the new one.
    """
    if compiling is None:
        return own.consumers, {**own.toolchains, "compiler": "WARMING"}
    toolchains = dict(compiling.toolchains)
    if own.toolchains["wasm"].startswith("DOWN"):  # this process precompiles, too
        toolchains["wasm"] = own.toolchains["wasm"]
    return {**compiling.consumers, **own.consumers}, toolchains

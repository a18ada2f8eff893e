"""What the service says of itself: its health part by part, and the gauges that are looked up when somebody asks."""

import asyncio
from contextlib import suppress
from typing import Literal

import asyncpg
import msgspec

from faas import __version__, metrics
from faas.api.schemas import Health
from faas.compile.languages import Compiler
from faas.database.pool import TRANSIENT, Pool, acquire
from faas.errors import DatabaseUnavailable
from faas.queue import messages
from faas.queue import pgmq as queue
from faas.queue.consumer import Consumer
from faas.queue.listener import Listener
from faas.runtime import Runtime
from faas.settings import Role

_PATIENCE = 2.0  # seconds for the database to answer


class Parts(msgspec.Struct, frozen=True):
    """All that is asked."""

    role: Role
    pool: Pool
    listener: Listener
    consumers: dict[str, Consumer]
    compilers: dict[str, Compiler]
    runtime: Runtime

    async def check(self) -> Health:
        """The health of every part. DOWN as a whole when one without which work stands still is."""
        database = await self._check_database()
        consumers = {
            name: "UP" if consumer.healthy else "DOWN: it cannot read its queue"
            for name, consumer in self.consumers.items()
        }
        toolchains = {language: compiler.state() for language, compiler in self.compilers.items()}
        if not toolchains:  # modules are translated all the same: when a result is checked, and before a first call
            toolchains = {"compiler": "OFF", "wasm": self.runtime.state}
        vital = [database, *consumers.values(), *toolchains.values()]
        status: Literal["UP", "DOWN"] = "DOWN" if any(state.startswith("DOWN") for state in vital) else "UP"
        # Without the listener everything still works, only later.
        consumers["listener"] = "UP" if self.listener.connected else "DOWN: reading by poll"
        return Health(
            status=status,
            version=__version__,
            role=self.role,
            database=database,
            consumers=consumers,
            toolchains=toolchains,
        )

    async def measure(self) -> None:
        """Set the gauges of the pool and the queues. Without a database the others are still told."""
        idle = self.pool.get_idle_size()
        metrics.DATABASE_CONNECTIONS.labels("idle").set(idle)
        metrics.DATABASE_CONNECTIONS.labels("used").set(self.pool.get_size() - idle)
        with suppress(TimeoutError, DatabaseUnavailable, asyncpg.PostgresError):
            async with asyncio.timeout(_PATIENCE), acquire(self.pool) as connection:
                await queue.measure(connection, [messages.COMPILATION_JOBS, messages.COMPILATION_RESULTS])

    async def _check_database(self) -> str:
        try:
            async with asyncio.timeout(_PATIENCE), self.pool.acquire() as connection:
                await connection.execute("SELECT 1")
        except (*TRANSIENT, asyncpg.PostgresError) as error:
            return f"DOWN: {type(error).__name__}"
        return "UP"

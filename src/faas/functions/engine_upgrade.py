"""The background task that takes images again with the engines of this version of faas (decision 34).

An image runs on the engine that it was taken with, which the database has for as long as the image. This task replaces
the images of older engines: of live revisions first, then of the others, from their stored sources. One process at a
time works, on one image at a time, and deploys go first. The progress is the state of the database, so any process
continues where a killed one stopped.

Engines are in the order in which they came to the database, and only a newer one replaces the image of another. So
processes of several versions can share a database: none undoes what another one did.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import asyncpg
import msgspec
import structlog

from faas.database.advisory_lock import advisory_lock
from faas.database.pool import Connection, Pool, acquire
from faas.engines import Engine, EngineMissing, EngineStore
from faas.errors import ConfigurationError, DatabaseUnavailable
from faas.function_settings import FunctionSettings, decode_settings
from faas.functions import queries
from faas.functions.queries import ImageSourceRow, OutdatedImageRow
from faas.queue import messages, pgmq
from faas.runtime import Contract, Runtime, images
from faas.sandbox import WorkerDied

log = structlog.get_logger()

ADVISORY_LOCK_KEY = 0x66616173_656E6700  # "faaseng" in ASCII
INTERVAL_SECONDS = 60.0
_BATCH_REVISIONS = 100
_ATTEMPTS = 3  # of an image: its source had one, so what refuses it may be a busy machine
_DEPLOY_INTERVAL_SECONDS = 0.5
# An image waits this long for deploys, then it is taken beside them: an upgrade ends under constant deploys, too.
_LONGEST_WAIT_INTERVALS = 60
_ERROR_LIMIT_CHARACTERS = 64 << 10
# Of the database, or of a process that cannot be started; the next run may not meet them.
_PASSING_ERRORS = (DatabaseUnavailable, ConfigurationError, EngineMissing, WorkerDied, OSError)


class RefusedSource(msgspec.Struct, frozen=True):
    """Why a source has no image: the compiler's diagnostics."""

    reason: str


TakeImage: TypeAlias = Callable[[str, str, FunctionSettings], Awaitable[bytes | RefusedSource]]


class _NewImage(msgspec.Struct, frozen=True):
    binary: bytes
    contract: Contract


class EngineUpgrade:
    """Upgrades the images of `languages` in the database of `pool` to the engines of this installation.

    `take_image` makes a module of a language, a source and the settings around it. It raises WorkerDied, and
    EngineMissing, after which no image can be taken for now.
    `open_own_pool` opens a connection that holds the advisory lock: not one that requests wait for.
    """

    def __init__(
        self,
        pool: Pool,
        runtime: Runtime,
        engines: EngineStore,
        *,
        take_image: TakeImage,
        languages: Sequence[str],
        open_own_pool: Callable[[], AbstractAsyncContextManager[Pool]],
    ) -> None:
        self._pool = pool
        self._runtime = runtime
        self._engines = engines
        self._take_image = take_image
        self._languages = languages
        self._open_own_pool = open_own_pool

    async def run(self) -> None:
        """Upgrade what is outdated every INTERVAL_SECONDS, until cancelled."""
        while True:
            try:
                await self.run_once()
            except (*_PASSING_ERRORS, asyncpg.PostgresError) as error:
                log.warning("engine_upgrade.failed", error=str(error))
            except Exception:
                log.exception("engine_upgrade.failed")
            await asyncio.sleep(INTERVAL_SECONDS)

    async def run_once(self) -> None:
        """Upgrade what is outdated now, unless another process does."""
        for engine in await self._engines.current(self._languages):
            await self._engines.register(engine)
            async with acquire(self._pool) as connection:
                outdated = await self._list(connection, engine, 1)
            if outdated:
                async with (
                    self._open_own_pool() as own_pool,
                    acquire(own_pool) as connection,
                    advisory_lock(connection, ADVISORY_LOCK_KEY) as locked,
                ):
                    if locked:
                        await self._upgrade(connection, engine)

    async def _upgrade(self, connection: Connection, engine: Engine) -> None:
        log.info("engine_upgrade.started", engine=engine.name, digest=engine.digest.hex()[:16])
        began, replaced, refused = time.monotonic(), 0, 0
        while rows := await self._list(connection, engine, _BATCH_REVISIONS):
            for row in rows:
                await _wait_for_deploys(connection)
                started = time.monotonic()
                result = await self._retake(connection, engine, row)
                replaced, refused = replaced + (result is True), refused + (result is False)
                await asyncio.sleep(time.monotonic() - started)  # at most half of a processor
        seconds = round(time.monotonic() - began, 1)
        log.info("engine_upgrade.finished", engine=engine.name, replaced=replaced, refused=refused, seconds=seconds)

    async def _list(self, connection: Connection, engine: Engine, limit: int) -> list[OutdatedImageRow]:
        return await queries.list_outdated_images(
            connection, engine=engine.digest, languages=self._languages, limit=limit
        )

    async def _retake(self, connection: Connection, engine: Engine, row: OutdatedImageRow) -> bool | None:
        """Replace the image of a revision. Returns False where it keeps the old one, None where it is gone."""
        present = await queries.get_image_source(connection, function_id=row.function_id, number=row.number)
        if present is None:
            return None
        ids = {"function_id": str(row.function_id), "revision": row.number}
        taken = await self._take(connection, engine, present, ids)
        if isinstance(taken, RefusedSource):
            error = taken.reason.replace("\0", "\\u0000")[:_ERROR_LIMIT_CHARACTERS]
            recorded = await queries.record_upgrade_error(
                connection,
                function_id=row.function_id,
                number=row.number,
                present=present.module_digest,
                engine=engine.digest,
                error=error,
            )
            log.warning("image.upgrade_failed", **ids, engine=engine.name, error=error.partition("\n")[0])
            return None if recorded is None else False
        digest = hashlib.sha256(taken.binary).digest()
        await self._engines.keep(engine.digest)
        async with connection.transaction():
            await queries.store_module(connection, module_digest=digest, module=taken.binary, engine=engine.digest)
            replaced = await queries.replace_image(
                connection,
                function_id=row.function_id,
                number=row.number,
                present=present.module_digest,
                module_digest=digest,
            )
        log.info("image.upgraded" if replaced is not None else "image.upgrade_outdated", **ids, engine=engine.name)
        return None if replaced is None else True

    async def _take(
        self, connection: Connection, engine: Engine, present: ImageSourceRow, ids: Mapping[str, object]
    ) -> _NewImage | RefusedSource:
        """Return an image by `engine` that can replace the present one, after up to _ATTEMPTS attempts."""
        for _ in range(_ATTEMPTS - 1):
            started = time.monotonic()
            taken = await self._try_to_take(engine, present)
            if isinstance(taken, _NewImage):
                return taken
            log.warning("image.attempt_failed", **ids, engine=engine.name, error=taken.reason.partition("\n")[0])
            await asyncio.sleep(time.monotonic() - started)
            await _wait_for_deploys(connection)
        return await self._try_to_take(engine, present)

    async def _try_to_take(self, engine: Engine, present: ImageSourceRow) -> _NewImage | RefusedSource:
        taken = await self._ask_compiler(present)
        if isinstance(taken, RefusedSource):
            return taken
        if images.engine_of(taken) != engine.digest:
            return RefusedSource("the compiler took the image with another engine")
        if fault := await self._runtime.check(taken):
            return RefusedSource(fault)
        contract = await self._runtime.contract(taken)
        if contract is None or contract != present.contract:
            return RefusedSource(f"the contract is {contract} with this engine, and was {present.contract}")
        return _NewImage(taken, contract)

    async def _ask_compiler(self, present: ImageSourceRow) -> bytes | RefusedSource:
        try:
            settings = decode_settings(present.settings)
        except msgspec.ValidationError as error:  # of a newer version of faas
            return RefusedSource(f"this version of faas cannot read the settings: {error}")
        try:
            return await self._take_image(present.language, present.source, settings)
        except WorkerDied as died:
            return RefusedSource(f"the process that takes images ended: {died}")


async def _wait_for_deploys(connection: Connection) -> None:
    """Return when no source is compiled or waits for it, at the latest after 30 s."""
    for _ in range(_LONGEST_WAIT_INTERVALS):
        if not await pgmq.count(connection, messages.COMPILATION_JOBS):
            return
        await asyncio.sleep(_DEPLOY_INTERVAL_SECONDS)

"""The engine modules in the database: what images there need, whichever version of faas has taken them.

A process has the engines of its own version (catalogue.py). An engine is stored before the first image of it is, so
that processes of other versions, and later ones, can run the image.
"""

import asyncio
from collections.abc import Collection

import structlog

from faas.database.pool import Pool, acquire
from faas.engines import queries
from faas.engines.catalogue import EngineCatalogue, EngineMissing
from faas.engines.engine import LANGUAGES, Engine

log = structlog.get_logger()


class EngineStore:
    """The engines of this installation, `catalogue`, and those in the database of `pool`."""

    def __init__(self, pool: Pool, catalogue: EngineCatalogue) -> None:
        self._pool = pool
        self._catalogue = catalogue

    async def current(self, languages: Collection[str]) -> list[Engine]:
        """Return the engines of this installation that are built and have functions in one of `languages`."""
        names = [name for name, written in LANGUAGES.items() if not written.isdisjoint(languages)]
        found = [await asyncio.to_thread(self._catalogue.find, name) for name in names]  # reads up to 22 MB once
        return [engine for engine in found if engine]

    async def load(self, digest: bytes) -> bytes | None:
        """Return the engine module with this digest: of this installation or of the database, or one built for it.

        Raises EngineMissing, DatabaseUnavailable.
        """
        if own := self._catalogue.find_by_digest(digest):
            return own.binary
        async with acquire(self._pool) as connection:
            stored = await queries.get_engine(connection, digest=digest)
        if stored is None:
            return await self._catalogue.load(digest)
        log.info("engine.loaded_from_database", engine=digest.hex()[:16])
        return stored

    async def keep(self, digest: bytes) -> None:
        """Store the engine unless it is stored: images of it can be stored then. Raises EngineMissing."""
        async with acquire(self._pool) as connection:
            if await queries.keep_engine(connection, digest=digest):
                return
        engine = self._catalogue.find_by_digest(digest)
        if engine is None:
            raise EngineMissing(f"the engine {digest.hex()[:16]} is neither of this installation nor in the database")
        await self.register(engine)
        async with acquire(self._pool) as connection:
            await queries.store_engine(connection, digest=digest, binary=engine.binary)
        log.info("engine.stored", engine=engine.name, digest=digest.hex()[:16], bytes=len(engine.binary))

    async def register(self, engine: Engine) -> int:
        """Return the place of the engine in the order of engines; one that the database does not know is the newest."""
        async with acquire(self._pool) as connection:
            while (number := await queries.get_engine_number(connection, digest=engine.digest)) is None:
                await queries.register_engine(connection, digest=engine.digest, name=engine.name)
        return number

"""Processes of several versions of faas on one database, each with another version of a hand-written engine."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import msgspec

from faas.bootstrap.compilers import image_taker
from faas.caller import ANYONE
from faas.compile.outcome import Compiled, CompileFailure
from faas.compile.surroundings import NONE, Surroundings
from faas.compile.worker import CompilationWorker
from faas.database.pool import Pool, open_pool
from faas.engines import Engine, EngineStore
from faas.executions import queries as execution_queries
from faas.function_ref import FunctionRef
from faas.function_settings import DEFAULT_SETTINGS, FunctionSettings
from faas.functions.compile_results import CompileResultHandler
from faas.functions.engine_upgrade import EngineUpgrade
from faas.functions.model import FunctionDraft
from faas.functions.revisions import RevisionService
from faas.functions.service import FunctionRules, FunctionService
from faas.languages import Language
from faas.queue import messages, pgmq
from faas.runtime import Outcome, Runtime
from faas.runtime.images import Contract
from tests.helpers.engines import InstalledCatalogue, engine_binary, engine_digest, image_of
from tests.helpers.guests import small_runtime

_LANGUAGES: tuple[Language, ...] = ("javascript",)
RULES = FunctionRules(languages=_LANGUAGES, max_time=10, max_memory=64 << 20, keep_revisions=20)


class TinyCompiler:
    """Takes images of the engine `version`. A source is the JSON document with which the function greets.

    `refused` are sources that do not compile, `contracts` those with another contract than json. `before` is awaited
    with each source before its image is taken.
    """

    def __init__(self, version: int) -> None:
        self.version = version
        self.taken: list[str] = []
        self.refused: set[str] = set()
        self.contracts: dict[str, Contract] = {}
        self.before: Callable[[str], Awaitable[None]] | None = None

    async def compile(self, source: str, _surroundings: Surroundings = NONE) -> Compiled | CompileFailure:
        """Take the image of `source`."""
        self.taken.append(source)
        if self.before:
            await self.before(source)
        if source in self.refused:
            return CompileFailure(f"version {self.version} refuses {source}\nat line 1")
        contract = self.contracts.get(source, "json")
        return Compiled(image_of(source.encode(), contract=contract, version=self.version))

    def state(self) -> str:
        """Return UP; see Compiler."""
        return "UP"

    async def keep_warm(self) -> None:
        """Return at once; see Compiler."""

    async def close(self) -> None:
        """Do nothing; see Compiler."""


class Installation:
    """A process of the version of faas that has the engine `version`."""

    def __init__(self, version: int, database_url: str, pool: Pool, runtime: Runtime, engines: EngineStore) -> None:
        self.pool = pool
        self.runtime = runtime
        self.engines = engines
        self.compiler = TinyCompiler(version)
        self.functions = FunctionService(pool, RULES)
        self.revisions = RevisionService(pool)
        self.handler = CompileResultHandler(pool, runtime, engines)
        self.worker = CompilationWorker(pool, runtime, engines, {"javascript": self.compiler}, 8 << 20)
        self.upgrade = EngineUpgrade(
            pool,
            runtime,
            engines,
            take_image=image_taker({"javascript": self.compiler}),
            languages=_LANGUAGES,
            open_own_pool=partial(open_pool, database_url, 1),
        )

    async def deploy(
        self,
        name: str,
        source: str,
        *,
        settings: FunctionSettings = DEFAULT_SETTINGS,
        promote: bool = True,
        applied_by: "Installation | None" = None,
    ) -> None:
        """Deploy a revision. `applied_by` is the process that applies the result."""
        draft = FunctionDraft(name=name, language="javascript", source=source, settings=settings, promote=promote)
        if await self.pool.fetchval("SELECT EXISTS (SELECT FROM functions WHERE name = $1)", name):
            await self.functions.update(ANYONE, FunctionRef.by_name(name), draft)
        else:
            await self.functions.create(ANYONE, draft)
        await self.compile()
        await (applied_by or self).apply()

    async def compile(self) -> None:
        """Compile the jobs in the queue."""
        await self._consume(messages.COMPILATION_JOBS, self.worker)

    async def apply(self) -> None:
        """Apply the results in the queue."""
        await self._consume(messages.COMPILATION_RESULTS, self.handler)

    async def call(self, name: str, revision: int | None = None) -> Outcome:
        """Execute a revision of a function, or its live one."""
        digest = await self.pool.fetchval(
            "SELECT module_digest FROM revisions JOIN functions ON id = function_id "
            "WHERE name = $1 AND number = coalesce($2, live_revision)",
            name,
            revision,
        )

        async def load() -> bytes:
            async with self.pool.acquire() as connection:
                module = await execution_queries.get_module(connection, digest)
            assert module
            return module

        return await self.runtime.run(digest, load, b'"m"')

    async def _consume(self, queue: str, handler: CompilationWorker | CompileResultHandler) -> None:
        async with self.pool.acquire() as connection:
            delivered = await pgmq.read(connection, queue, limit=10, visibility_timeout=60)
        for message in delivered:
            await handler.handle(message)


@asynccontextmanager
async def installation(version: int, database_url: str) -> AsyncIterator[Installation]:
    """Start a process of a version. It has no native code of other versions, as on another machine."""
    binary = engine_binary(version)
    engine = Engine("javascript", Path(f"javascript-{version}.wasm"), binary, engine_digest(version))
    async with open_pool(database_url, 4) as pool:
        engines = EngineStore(pool, InstalledCatalogue(engine))
        async with small_runtime(load_engine=engines.load) as runtime:
            yield Installation(version, database_url, pool, runtime, engines)


class RevisionImage(msgspec.Struct, frozen=True):
    """A revision, and the version of the engine of its image."""

    function: str
    number: int
    version: int
    upgrade_error: str | None


async def images_in(pool: Pool) -> list[RevisionImage]:
    """Return all revisions with their images."""
    versions = {engine_digest(version): version for version in range(1, 6)}
    rows = await pool.fetch(
        "SELECT name, number, engine, upgrade_error FROM revisions JOIN functions ON id = function_id "
        "JOIN modules ON digest = module_digest ORDER BY name, number"
    )
    return [RevisionImage(row[0], row[1], versions[row[2]], row[3]) for row in rows]


async def versions_in(pool: Pool) -> set[int]:
    """Return the versions of the engines that images are of."""
    return {image.version for image in await images_in(pool)}


def digest_of(source: str, version: int) -> bytes:
    """Return the digest of the image of `source`."""
    return hashlib.sha256(image_of(source.encode(), version=version)).digest()


async def until_taken(compiler: TinyCompiler) -> tuple[asyncio.Event, asyncio.Event]:
    """Hold the compiler before each image: return the events "has begun" and "may go on"."""
    begun, released = asyncio.Event(), asyncio.Event()

    async def before(_source: str) -> None:
        begun.set()
        await released.wait()

    compiler.before = before
    return begun, released

"""Servers of two versions of faas, with two JavaScript engines, one after the other and side by side.

An upgrade is killed between each two of its steps:

| killed between | stop |
|---|---|
| the image is taken and stored | `taken, not stored` |
| stored and replaced | `stored, not replaced` |
| replaced and the commit | `replaced, no commit` |
| the commit and the next image | `replaced and committed` |
"""

import asyncio
import hashlib
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from faas.database.pool import Pool
from faas.engines import catalogue
from faas.runtime.images.binary_format import CUSTOM, encode_name, write_section
from tests.helpers import serve_with_engine
from tests.helpers.breakpoints import Hold, Stop
from tests.helpers.invariants import assert_invariants, record_ends
from tests.helpers.revisions import assert_history, assert_revision_invariants, record_history
from tests.helpers.server import Server, client_of, start_server
from tests.helpers.support import Platform, eventually

OLD, NEW = 1, 2
OPTIONS = ("--languages", "javascript", "--compile-workers", "1")
REPLACED = "NEW.module_digest IS DISTINCT FROM OLD.module_digest"
STOPS = [
    Stop("taken, not stored", "modules", "INSERT", "NEW.engine IS NOT NULL"),
    Stop("stored, not replaced", "revisions", "UPDATE", REPLACED),
    Stop("replaced, no commit", "revisions", "UPDATE", REPLACED, at_commit=True),
    Stop("replaced and committed", "revisions", "UPDATE", REPLACED, committed=True),
]


class Engines:
    """The folders of two installations, with engines that differ in a custom section."""

    def __init__(self, folder: Path) -> None:
        binary = catalogue.build("javascript").read_bytes()
        changed = binary + write_section(CUSTOM, encode_name("version") + b"2")
        self.folders = {OLD: folder / "old", NEW: folder / "new"}
        self.digests = {hashlib.sha256(binary).digest(): OLD, hashlib.sha256(changed).digest(): NEW}
        for version, content in ((OLD, binary), (NEW, changed)):
            self.folders[version].mkdir()
            (self.folders[version] / "javascript-0.wasm").write_bytes(content)

    async def start(self, version: int, database_url: str) -> Server:
        """Start a server of a version, on a data directory of its own."""
        prefix = (sys.executable, serve_with_engine.__file__, str(self.folders[version]))
        return await start_server("--database-url", database_url, *OPTIONS, prefix=prefix)

    @asynccontextmanager
    async def serving(self, version: int, database_url: str) -> AsyncIterator[Platform]:
        """Run a server of a version, and stop it at the end."""
        server = await self.start(version, database_url)
        try:
            async with client_of(server, database_url) as platform:
                yield platform
        except BaseException as error:
            error.add_note("\n".join(server.lines))
            raise
        finally:
            code = await server.stop()
        assert code == 0, "\n".join(server.lines)
        unexpected = [event for event in server.events("engine_upgrade.failed") if "exception" in event]
        assert unexpected + server.events("background_task.crashed") == []

    async def upgraded(self, pool: Pool, images: int) -> None:
        """Wait until all images are of the newer engine: in the first run of the upgrade, the next would be later."""
        await eventually(lambda: self.versions(pool), lambda found: found == [NEW] * images, timeout=60)

    async def versions(self, pool: Pool) -> list[int]:
        """Return the versions of the engines of all images, in the order of the functions and their revisions."""
        rows = await pool.fetch(
            "SELECT engine FROM revisions JOIN functions ON id = function_id JOIN modules ON digest = module_digest "
            "ORDER BY name, number"
        )
        return [self.digests[row[0]] for row in rows]


@pytest.fixture
def engines() -> Iterator[Engines]:
    folder = Path(tempfile.mkdtemp(prefix="faas-engines-", dir="/tmp"))
    folder.chmod(0o755)  # the worker processes read the engines as another user
    yield Engines(folder)
    shutil.rmtree(folder)


async def test_engine_upgrade_of_a_server(database_url: str, engines: Engines) -> None:
    async with engines.serving(OLD, database_url) as platform:
        await platform.deploy("f", returning(1), "javascript")
        await platform.put("f", returning(2), "javascript")
        await platform.latest_settled("f")
        assert await engines.versions(platform.pool) == [OLD, OLD]
    async with engines.serving(NEW, database_url) as platform:
        await engines.upgraded(platform.pool, 2)
        execution = await platform.execute("f")
        assert (execution["output"], execution["revision"]) == (2, 2)
        assert (await platform.execute("f@1"))["output"] == 1
        await assert_revision_invariants(platform.pool)
    async with engines.serving(OLD, database_url) as platform:  # the version before runs the images of the newer engine
        assert (await platform.execute("f"))["output"] == 2
        assert await engines.versions(platform.pool) == [NEW, NEW]


async def test_engine_upgrade_with_two_versions_side_by_side(database_url: str, engines: Engines) -> None:
    """Calls on both servers go on without an error while the images are replaced, and deploys on either work."""
    async with engines.serving(OLD, database_url) as old:
        for number in range(3):
            await old.deploy(f"f{number}", returning(number), "javascript")
        done = asyncio.Event()

        async def call(platform: Platform, number: int) -> int:
            calls = 0
            while calls < 5 or not done.is_set():
                execution = await platform.execute(f"f{number}")
                assert execution["output"] == number, execution
                calls += 1
            return calls

        calling = [asyncio.create_task(call(old, number)) for number in range(3)]
        async with engines.serving(NEW, database_url) as new:
            calling += [asyncio.create_task(call(new, number)) for number in range(3)]
            await engines.upgraded(new.pool, 3)
            for name, platform in (("g", old), ("h", new)):
                await platform.deploy(name, returning(7), "javascript")
                for caller in (old, new):
                    assert (await caller.execute(name))["output"] == 7
            done.set()
            assert all(calls >= 5 for calls in await asyncio.gather(*calling))
            await assert_revision_invariants(new.pool)


@pytest.mark.slow
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: stop.name)
async def test_kill_while_an_image_is_replaced(database_url: str, engines: Engines, stop: Stop) -> None:
    """The function has one image or the other and serves; the next server completes the upgrade."""
    async with engines.serving(OLD, database_url) as platform:
        function = await platform.deploy("f", returning(1), "javascript")
        await platform.deploy("g", returning(2), "javascript")
        await record_ends(platform.pool)
        await record_history(platform.pool)
    async with asyncpg.create_pool(database_url, min_size=1, max_size=2) as pool, pool.acquire() as connection:
        hold = Hold(connection, stop)
        await hold.set()
        killed = await engines.start(NEW, database_url)
        async with client_of(killed, database_url) as platform:
            await hold.reached()
            assert (await platform.execute("f"))["output"] == 1
            assert await engines.versions(pool) == [OLD, OLD]
            await hold.kill(killed)
        assert sorted(await engines.versions(pool)) == ([OLD, NEW] if stop.committed else [OLD, OLD])
        await assert_revision_invariants(pool)
    async with engines.serving(NEW, database_url) as platform:
        assert (await platform.execute("g"))["output"] == 2
        await engines.upgraded(platform.pool, 2)
        assert [(await platform.execute(name))["output"] for name in ("f", "g")] == [1, 2]
        await assert_invariants(platform.pool, functions=[str(function["id"])])
        await assert_revision_invariants(platform.pool)
        await assert_history(platform.pool)


def returning(number: int) -> str:
    """Return the source of a function that returns `number`."""
    return f"export const handle = () => {number};"

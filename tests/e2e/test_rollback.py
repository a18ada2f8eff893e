"""Rollbacks after restarts and on several servers: at once, without a compilation, and whatever became of native code."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.helpers.server import client_of, serving
from tests.helpers.support import Platform, returning_wat


def keep(_: Path) -> None:
    """The native code of the revisions is as the earlier process left it."""


def remove(file: Path) -> None:
    file.unlink()


def replace_engine(file: Path) -> None:
    """As a version of faas with another engine leaves it: it is not for this one, whatever its content is."""
    file.rename(file.with_name(f"{file.name.split('-')[0]}-{'0' * 16}{file.suffix}"))


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


async def deploy(platform: Platform, count: int) -> None:
    """Deploy revisions that return their numbers, and call each while it is live."""
    await platform.deploy("f", returning_wat("1"))
    for number in range(2, count + 1):
        await platform.put("f", returning_wat(str(number)))
        assert (await platform.latest_settled("f"))["revision"] == number
    assert (await platform.execute("f"))["output"] == count


async def compilations(platform: Platform) -> int:
    return int(
        await platform.pool.fetchval(
            "SELECT (SELECT count(*) FROM pgmq.a_compilation_jobs) + (SELECT count(*) FROM pgmq.q_compilation_jobs)"
        )
    )


@pytest.mark.parametrize("change", [keep, remove, replace_engine, damage], ids=lambda change: change.__name__)
async def test_rollback_after_a_restart_runs_the_earlier_revision(
    database_url: str, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """Native code that is gone, damaged or of another engine is made again from the module that is stored."""
    options = ("--database-url", database_url, "--data-dir", str(tmp_path))
    async with serving(*options) as server, client_of(server, database_url) as platform:
        await deploy(platform, 3)
    files = sorted(tmp_path.rglob("*.cwasm"))
    assert len(files) == 3
    for file in files:
        change(file)
    async with serving(*options) as server, client_of(server, database_url) as platform:
        before = await compilations(platform)
        for expected in (2, 1):
            assert (await platform.http.post("/functions/f/rollback")).json()["revision"] == expected
            execution = await platform.execute("f")
            assert (execution["output"], execution["revision"]) == (expected, expected)
        assert (await platform.execute("f@3"))["output"] == 3
        assert await compilations(platform) == before
    assert set(files) <= set(tmp_path.rglob("*.cwasm"))


async def test_rollback_and_promotion_are_in_effect_on_every_server_at_once(database_url: str) -> None:
    """Also on a server that starts later, has kept what it read, or has never run that revision."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving("--database-url", database_url)) for _ in range(2)]
        first, second = [await stack.enter_async_context(client_of(server, database_url)) for server in servers]
        await deploy(first, 3)
        assert (await second.execute("f"))["output"] == 3
        for number, (here, there) in enumerate([(first, second), (second, first)] * 5):
            answer = await here.http.post("/functions/f/rollback")
            assert (answer.status_code, answer.json()["revision"]) == (200, 2), number
            assert [(await each.execute("f"))["output"] for each in (there, here)] == [2, 2]
            answer = await there.http.post("/functions/f/promote", json={"revision": 3})
            assert answer.json()["revision"] == 3
            assert [(await each.execute("f"))["output"] for each in (here, there)] == [3, 3]
        await first.http.post("/functions/f/rollback")
        late = await stack.enter_async_context(serving("--database-url", database_url))
        third = await stack.enter_async_context(client_of(late, database_url))
        assert (await third.execute("f"))["output"] == 2

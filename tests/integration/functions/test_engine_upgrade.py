"""Engine upgrades: old images run on, and are replaced by images of the newer engine, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import msgspec
import pytest

from faas.caller import ANYONE
from faas.compile.outcome import CompileFailure
from faas.compile.surroundings import NONE, Surroundings
from faas.database.advisory_lock import advisory_lock
from faas.database.pool import Connection, Pool
from faas.engines import EngineMissing
from faas.errors import FunctionNotFound
from faas.function_ref import FunctionRef
from faas.function_settings import FunctionLimits, FunctionSettings, decode_settings
from faas.functions import engine_upgrade
from faas.functions.model import FunctionDraft
from faas.functions.module_cleanup import ModuleCleanup
from faas.queue import messages, pgmq
from faas.sandbox import WorkerDied
from tests.helpers.engine_versions import (
    Installation,
    RevisionImage,
    digest_of,
    images_in,
    installation,
    until_taken,
    versions_in,
)
from tests.helpers.engines import engine_digest
from tests.helpers.revisions import assert_history, assert_revision_invariants, record_history
from tests.helpers.support import eventually

F = FunctionRef.by_name("f")
NARROW = FunctionSettings(limits=FunctionLimits(time=0.1))


@pytest.fixture
async def recorded(pool: Pool) -> AsyncIterator[Pool]:
    await record_history(pool)
    yield pool
    await assert_revision_invariants(pool)
    await assert_history(pool)


@pytest.fixture
async def old(database_url: str, recorded: Pool) -> AsyncIterator[Installation]:
    assert recorded
    async with installation(1, database_url) as opened:
        yield opened


@pytest.fixture
async def new(database_url: str, old: Installation) -> AsyncIterator[Installation]:
    assert old
    async with installation(2, database_url) as opened:
        yield opened


async def output(process: Installation, revision: int | None = None, name: str = "f") -> str:
    outcome = await process.call(name, revision)
    assert outcome.output is not None, outcome.error
    return outcome.output.decode()


async def test_engine_upgrade_image_runs_on_an_engine_that_is_not_installed(
    old: Installation, new: Installation
) -> None:
    await old.deploy("f", '"hello"')
    assert await versions_in(new.pool) == {1}
    assert await output(new) == '"hello"'


async def test_engine_upgrade_replaces_live_images_first_and_changes_nothing_else(
    old: Installation, new: Installation
) -> None:
    for name in ("f", "g"):
        for number in (1, 2, 3):
            await old.deploy(name, f'"{name}{number}"')
    await old.revisions.roll_back(ANYONE, F)
    unchanged = (
        "SELECT function_id, number, language, source, settings::text, status, contract, compile_error, promote, "
        "revisions.created_at, live_revision, previous_revisions, updated_at "
        "FROM revisions JOIN functions ON id = function_id ORDER BY 1, 2"
    )
    before = await new.pool.fetch(unchanged)
    await new.upgrade.run_once()
    assert set(new.compiler.taken[:2]) == {'"f2"', '"g3"'}
    assert len(new.compiler.taken) == 6
    assert await versions_in(new.pool) == {2}
    assert await new.pool.fetch(unchanged) == before
    for process in (old, new):  # the old process runs the new engine from the database
        assert [await output(process), await output(process, 1), await output(process, name="g")] == [
            '"f2"', '"f1"', '"g3"',
        ]  # fmt: skip


async def test_engine_upgrade_keeps_the_image_of_a_source_that_no_longer_compiles(
    database_url: str, old: Installation, new: Installation
) -> None:
    await old.deploy("f", '"fine"')
    await old.deploy("f", '"odd"')
    new.compiler.refused = {'"odd"'}
    await new.upgrade.run_once()
    error = 'version 2 refuses "odd"\nat line 1'
    assert await images_in(new.pool) == [RevisionImage("f", 1, 2, None), RevisionImage("f", 2, 1, error)]
    assert await output(new) == '"odd"'
    revision = await new.revisions.get(ANYONE, F, 2)
    assert (revision.status, revision.compile_error, revision.upgrade_error) == ("READY", None, error)
    listed, _ = await new.revisions.list(ANYONE, F, limit=5)
    assert [each.upgrade_error for each in listed] == [error, None]

    taken = len(new.compiler.taken)
    await new.upgrade.run_once()
    assert len(new.compiler.taken) == taken  # the same engine does not try again

    async with installation(3, database_url) as newest:
        await newest.upgrade.run_once()
        assert await images_in(newest.pool) == [RevisionImage("f", 1, 3, None), RevisionImage("f", 2, 3, None)]


async def test_engine_upgrade_refuses_another_contract(old: Installation, new: Installation) -> None:
    await old.deploy("f", '"f"')
    new.compiler.contracts = {'"f"': "lambda"}
    await new.upgrade.run_once()
    (image,) = await images_in(new.pool)
    assert (image.version, image.upgrade_error) == (1, "the contract is lambda with this engine, and was json")


async def test_engine_upgrade_refuses_a_source_that_ends_its_process(old: Installation, new: Installation) -> None:
    await old.deploy("f", '"f"')
    await old.deploy("g", '"g"')
    died: list[str] = []

    async def die(source: str) -> None:
        if source == '"g"' or source not in died:  # "f" fails once only
            died.append(source)
            raise WorkerDied("it ended with signal 9")

    new.compiler.before = die
    await new.upgrade.run_once()
    f, g = await images_in(new.pool)
    assert (f.version, f.upgrade_error) == (2, None)
    assert (g.version, g.upgrade_error) == (1, "the process that takes images ended: it ended with signal 9")
    assert sorted(died) == ['"f"', '"g"', '"g"', '"g"']


async def test_engine_upgrade_tries_a_refused_source_again(old: Installation, new: Installation) -> None:
    """A machine that is busy for a moment takes an image too slowly; the next attempt may not meet that."""
    await old.deploy("f", '"f"')
    new.compiler.refused = {'"f"'}

    async def accept_the_last(_source: str) -> None:
        if len(new.compiler.taken) == 3:
            new.compiler.refused = set()

    new.compiler.before = accept_the_last
    await new.upgrade.run_once()
    assert await images_in(new.pool) == [RevisionImage("f", 1, 2, None)]
    assert new.compiler.taken == ['"f"'] * 3


async def test_engine_upgrade_waits_for_deploys_before_each_attempt(
    old: Installation, new: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old.deploy("f", '"f"')
    new.compiler.refused = {'"f"'}
    taken_when_asked: list[int] = []

    async def count(_connection: Connection, _queue: str) -> int:
        taken_when_asked.append(len(new.compiler.taken))
        return 0

    monkeypatch.setattr(pgmq, "count", count)
    await new.upgrade.run_once()
    assert taken_when_asked == [0, 1, 2]


async def test_engine_upgrade_without_its_engine_refuses_nothing(
    old: Installation, new: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old.deploy("f", '"f"')

    async def fail(_source: str, _surroundings: Surroundings = NONE) -> CompileFailure:
        return CompileFailure("the engine cannot be used: a reason", of_source=False)

    monkeypatch.setattr(new.compiler, "compile", fail)
    with pytest.raises(EngineMissing, match="cannot be used: a reason"):
        await new.upgrade.run_once()
    assert await images_in(new.pool) == [RevisionImage("f", 1, 1, None)]
    monkeypatch.undo()
    await new.upgrade.run_once()
    assert await versions_in(new.pool) == {2}


async def test_engine_upgrade_keeps_images_whose_settings_it_cannot_read(
    old: Installation, new: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old.deploy("f", '"f"', settings=NARROW)
    await old.deploy("g", '"g"')

    def decode(document: bytes) -> FunctionSettings:
        settings = decode_settings(document)
        if settings == NARROW:
            raise msgspec.ValidationError("Object contains unknown field `later`")
        return settings

    monkeypatch.setattr(engine_upgrade, "decode_settings", decode)
    await new.upgrade.run_once()
    error = "this version of faas cannot read the settings: Object contains unknown field `later`"
    assert await images_in(new.pool) == [RevisionImage("f", 1, 1, error), RevisionImage("g", 1, 2, None)]


async def test_engine_upgrade_goes_on_after_any_error(
    old: Installation, new: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old.deploy("f", '"f"')
    monkeypatch.setattr(engine_upgrade, "INTERVAL_SECONDS", 0.01)
    failures = iter([RuntimeError("can't start new thread"), OSError("no processes"), asyncpg.InterfaceError("closed")])

    async def fail(_source: str) -> None:
        for failure in failures:
            raise failure

    new.compiler.before = fail
    running = asyncio.create_task(new.upgrade.run())
    await eventually(lambda: versions_in(new.pool), lambda versions: versions == {2})
    assert next(failures, None) is None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_engine_upgrade_of_two_versions_on_one_database_converges(old: Installation, new: Installation) -> None:
    await old.deploy("f", '"1"')
    for _ in range(2):
        await new.upgrade.run_once()
        await old.upgrade.run_once()
    assert await versions_in(new.pool) == {2}
    assert (len(old.compiler.taken), len(new.compiler.taken)) == (1, 1)

    await old.deploy("f", '"2"', applied_by=new)  # a deploy that the old version compiles
    assert await output(new) == '"2"'
    await new.deploy("g", '"3"', applied_by=old)
    assert await output(old, name="g") == '"3"'
    await new.upgrade.run_once()
    assert await versions_in(new.pool) == {2}


async def test_engine_upgrade_is_of_one_process_at_a_time(
    database_url: str, old: Installation, new: Installation
) -> None:
    await old.deploy("f", '"1"')
    begun, released = await until_taken(new.compiler)
    async with installation(2, database_url) as other:
        upgrading = asyncio.create_task(new.upgrade.run_once())
        await begun.wait()
        await other.upgrade.run_once()
        assert other.compiler.taken == []
        released.set()
        await upgrading
        await other.upgrade.run_once()
        assert other.compiler.taken == []
    assert await versions_in(new.pool) == {2}


async def test_engine_upgrade_of_a_process_that_lost_its_lock_changes_nothing_twice(
    database_url: str, old: Installation, new: Installation
) -> None:
    await old.deploy("f", '"1"')
    begun, released = await until_taken(new.compiler)
    upgrading = asyncio.create_task(new.upgrade.run_once())
    await begun.wait()
    await new.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    async with installation(2, database_url) as other:
        await other.upgrade.run_once()
        assert await versions_in(other.pool) == {2}
    released.set()
    with pytest.raises(Exception, match="connection"):
        await upgrading
    await new.upgrade.run_once()
    assert await versions_in(new.pool) == {2}
    assert len(new.compiler.taken) == 1


async def test_engine_upgrade_continues_where_a_killed_one_stopped(
    database_url: str, old: Installation, new: Installation
) -> None:
    for number in range(4):
        await old.deploy(f"f{number}", f'"{number}"')
    third = asyncio.Event()

    async def stop_at_the_third(_source: str) -> None:
        if len(new.compiler.taken) == 3:
            third.set()
            await asyncio.Event().wait()

    new.compiler.before = stop_at_the_third
    upgrading = asyncio.create_task(new.upgrade.run_once())
    await third.wait()
    upgrading.cancel()
    await asyncio.gather(upgrading, return_exceptions=True)
    assert sorted(image.version for image in await images_in(new.pool)) == [1, 1, 2, 2]
    async with installation(2, database_url) as other:
        await other.upgrade.run_once()
        assert await versions_in(other.pool) == {2}
        assert len(other.compiler.taken) == 2


async def test_engine_upgrade_of_a_function_that_is_deleted_while_its_image_is_taken(
    old: Installation, new: Installation
) -> None:
    await old.deploy("f", '"1"')
    await old.deploy("g", '"2"')

    async def delete(source: str) -> None:
        if source == '"1"':
            await new.functions.delete(ANYONE, F)

    new.compiler.before = delete
    await new.upgrade.run_once()
    with pytest.raises(FunctionNotFound):
        await new.functions.get(ANYONE, F)
    assert await images_in(new.pool) == [RevisionImage("g", 1, 2, None)]
    await ModuleCleanup(new.pool, grace_seconds=0).remove()
    assert await output(new, name="g") == '"2"'


async def test_engine_upgrade_beside_deploys_promotions_and_rollbacks(old: Installation, new: Installation) -> None:
    await old.deploy("f", '"1"')
    await old.deploy("f", '"2"')
    steps = iter(("copy", "promote"))

    async def interfere(_source: str) -> None:
        step = next(steps, None)
        if step == "copy":  # a deploy with the same source has the same module, which is the old image
            await new.deploy("f", '"2"', settings=NARROW)
            assert await output(new, 3) == '"2"'
        elif step == "promote":
            await new.revisions.promote(ANYONE, F, 1)

    new.compiler.before = interfere
    await new.upgrade.run_once()
    assert await images_in(new.pool) == [RevisionImage("f", number, 2, None) for number in (1, 2, 3)]
    assert (await new.functions.get(ANYONE, F)).revision == 1
    assert await output(new) == '"1"'
    await new.revisions.roll_back(ANYONE, F)
    assert await output(new) == '"2"'


async def test_engine_upgrade_waits_for_deploys(
    old: Installation, new: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old.deploy("f", '"1"')
    asked = 0

    async def count(connection: Connection, queue: str) -> int:
        nonlocal asked
        asked += 1
        if asked == 3:
            assert new.compiler.taken == []
            await new.compile()
        return await original(connection, queue)

    original = pgmq.count
    monkeypatch.setattr(pgmq, "count", count)
    monkeypatch.setattr(engine_upgrade, "_DEPLOY_INTERVAL_SECONDS", 0.01)
    job = messages.CompilationJob(
        function_id=(await new.functions.get(ANYONE, F)).id, revision=2, language="javascript", source='"2"'
    )
    await pgmq.send(new.pool, messages.COMPILATION_JOBS, messages.encode(job))  # type: ignore[arg-type]
    await new.upgrade.run_once()
    assert new.compiler.taken == ['"2"', '"1"']
    assert asked == 3


async def test_engine_upgrade_ends_under_constant_deploys(
    old: Installation, new: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old.deploy("f", '"1"')
    monkeypatch.setattr(engine_upgrade, "_DEPLOY_INTERVAL_SECONDS", 0.001)
    await pgmq.send(new.pool, messages.COMPILATION_JOBS, b"{}")  # type: ignore[arg-type]
    await new.upgrade.run_once()
    assert await versions_in(new.pool) == {2}


async def test_engine_upgrade_old_engine_is_removed_after_its_last_image(old: Installation, new: Installation) -> None:
    await old.deploy("f", '"1"')
    await old.deploy("g", '"2"')
    new.compiler.refused = {'"2"'}
    await new.upgrade.run_once()
    cleanup = ModuleCleanup(new.pool, grace_seconds=0)
    await cleanup.remove()
    stored = {row[0] for row in await new.pool.fetch("SELECT digest FROM modules")}
    assert stored == {engine_digest(1), engine_digest(2), digest_of('"1"', 2), digest_of('"2"', 1)}
    await new.functions.delete(ANYONE, FunctionRef.by_name("g"))
    await cleanup.remove()  # the image, and in the next run its engine
    await cleanup.remove()
    stored = {row[0] for row in await new.pool.fetch("SELECT digest FROM modules")}
    assert stored == {engine_digest(2), digest_of('"1"', 2)}

    await old.deploy("h", '"3"')  # a process of the old version brings its engine again, which is no newer for that
    assert await output(new, name="h") == '"3"'
    await old.upgrade.run_once()
    assert [image.version for image in await images_in(new.pool)] == [2, 1]
    await new.upgrade.run_once()
    assert await versions_in(new.pool) == {2}


async def test_engine_upgrade_does_nothing_while_another_process_holds_the_lock(
    old: Installation, new: Installation
) -> None:
    await old.deploy("f", '"1"')
    async with (
        new.pool.acquire() as connection,
        advisory_lock(connection, engine_upgrade.ADVISORY_LOCK_KEY) as locked,
    ):
        assert locked
        await new.upgrade.run_once()
        assert new.compiler.taken == []


async def test_engine_upgrade_image_of_an_engine_that_is_stored_nowhere_is_refused(
    new: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compiler that did not store its engine, which the process that applies the result does not have."""
    new.compiler.version = 3
    monkeypatch.setattr(new.runtime, "check", no_fault)
    monkeypatch.setattr(new.engines, "keep", no_fault)
    await new.functions.create(ANYONE, FunctionDraft(name="f", language="javascript", source='"1"'))
    await new.compile()
    monkeypatch.undo()
    await new.apply()
    function = await new.functions.get(ANYONE, F)
    assert function.status == "FAILED"
    assert "which neither this server nor its database has" in (function.compile_error or "")


async def no_fault(_: object) -> None:
    """Accept anything."""

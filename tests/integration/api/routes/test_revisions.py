"""Routes of revisions: `name@N`, the history, promotions and rollbacks, and how many revisions are kept."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from faas.bootstrap import open_service
from faas.database.pool import Pool, open_pool
from faas.functions.module_cleanup import ModuleCleanup
from faas.settings import Settings
from tests.helpers.revisions import assert_revision_invariants
from tests.helpers.support import Platform, core_wat, eventually, returning_wat, wat

REVISION_FIELDS = {
    "functionId", "revision", "language", "source", "settings", "status", "compileError", "contract", "promote", "live",
    "upgradeError", "createdBy", "createdAt",
}  # fmt: skip


async def deploy(platform: Platform, *numbers: int, **fields: Any) -> dict[str, Any]:
    """Deploy sources that return their number, one after the other; 0 does not compile. Return the function."""
    function: dict[str, Any] = {}
    for number in numbers:
        source = returning_wat(str(number)) if number else f"(module (broken {uuid4()}))"
        if (await platform.http.get("/functions/f")).status_code == 404:
            await platform.register("f", source)
        else:
            await platform.put("f", source, **fields)
        function = await platform.latest_settled("f")
    return function


async def kept(platform: Platform) -> list[int]:
    """Return the numbers of the revisions, oldest first."""
    return [each["revision"] for each in reversed((await platform.http.get("/functions/f/revisions?limit=200")).json())]


async def test_deploy_that_does_not_compile_leaves_the_live_revision(platform: Platform) -> None:
    function = await deploy(platform, 1, 0)
    assert (function["status"], function["revision"], function["compileError"]) == ("READY", 1, None)
    assert (function["latest"]["revision"], function["latest"]["status"]) == (2, "FAILED")
    assert "broken" in function["latest"]["compileError"]
    assert function["source"] == returning_wat("1")
    assert (await platform.execute("f"))["output"] == 1
    mended = await deploy(platform, 3)
    assert (mended["revision"], mended["latest"]["compileError"]) == (3, None)


async def test_numbered_reference_shows_and_runs_that_revision(platform: Platform) -> None:
    function = await deploy(platform, 1, 0, 3)
    for name in ("f", function["id"], function["id"].upper()):
        for number, status in ((1, "READY"), (2, "FAILED"), (3, "READY")):
            shown = (await platform.http.get(f"/functions/{name}@{number}")).json()
            assert (shown["id"], shown["revision"], shown["status"]) == (function["id"], number, status)
            assert shown["latest"]["revision"] == 3
        assert (shown["contract"], shown["compileError"]) == ("json", None)
        execution = await platform.execute(f"{name}@1")
        assert (execution["output"], execution["revision"], execution["functionId"]) == (1, 1, function["id"])
    record = (await platform.http.get(f"/executions/{execution['id']}")).json()
    assert (record["revision"], record["output"]) == (1, 1)
    listed = (await platform.http.get("/functions/f/executions")).json()
    assert {each["revision"] for each in listed} == {1}


async def test_numbered_reference_that_cannot_run_is_400_or_404(platform: Platform) -> None:
    await deploy(platform, 1, 0)
    refused = await platform.http.post("/functions/f@2/execute", json={})
    assert refused.status_code == 400
    assert refused.json()["type"] == "urn:faas:problem:function-not-ready"
    assert "is FAILED, not READY" in refused.json()["detail"]
    assert "broken" in refused.json()["detail"]  # the compile error
    for method, path in (("GET", "/functions/f@3"), ("POST", "/functions/f@3/execute"), ("GET", "/functions/none@1")):
        missing = await platform.http.request(method, path, json={} if method == "POST" else None)
        assert (missing.status_code, missing.json()["type"]) == (404, "urn:faas:problem:not-found")
    assert await platform.pool.fetchval("SELECT count(*) FROM executions") == 0


@pytest.mark.parametrize("number", ["0", "01", "-1", "1.0", "x", "", "2147483648", "9" * 50, "1@1", "%201", "\u0661"])
async def test_numbered_reference_that_is_not_a_number_is_400(refusing: Platform, number: str) -> None:
    for method, path in (("GET", f"/functions/echo@{number}"), ("POST", f"/functions/echo@{number}/execute")):
        response = await refusing.http.request(method, path)
        assert response.status_code == 400, (method, path)
        assert response.json()["detail"].startswith("id: ")
        assert "is not the number of a revision, a whole number from 1 to 2147483647" in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", ""),
        ("DELETE", ""),
        ("GET", "/executions"),
        ("GET", "/revisions"),
        ("GET", "/revisions/1"),
        ("POST", "/promote"),
        ("POST", "/rollback"),
    ],
)
async def test_numbered_reference_elsewhere_is_400(refusing: Platform, method: str, path: str) -> None:
    body = {"name": "echo", "language": "wat", "source": "x", "revision": 1} if method == "PUT" else {"revision": 1}
    response = await refusing.http.request(method, f"/functions/echo@1{path}", json=None if method == "GET" else body)
    assert response.status_code == 400
    assert response.json()["detail"] == "id: 'echo@1' names a revision; a function is accepted here, without @revision"
    assert (await refusing.http.get("/functions/echo")).json()["latest"]["revision"] == 1


async def test_revisions_are_listed_newest_first_with_their_fields(platform: Platform) -> None:
    function = await deploy(platform, 1, 0, 3)
    page = await platform.http.get("/functions/f/revisions")
    assert [set(each) for each in page.json()] == [REVISION_FIELDS] * 3
    assert [(each["revision"], each["status"], each["live"]) for each in page.json()] == [
        (3, "READY", True),
        (2, "FAILED", False),
        (1, "READY", False),
    ]
    assert all((each["functionId"], each["createdBy"]) == (function["id"], None) for each in page.json())
    assert page.json()[2]["source"] == returning_wat("1")
    assert page.json() == [(await platform.http.get(f"/functions/f/revisions/{n}")).json() for n in (3, 2, 1)]
    numbers, path = [], "/functions/f/revisions?limit=1"
    while path:
        response = await platform.http.get(path)
        numbers += [each["revision"] for each in response.json()]
        path = response.links.get("next", {}).get("url", "")
    assert numbers == [3, 2, 1]


async def test_revisions_page_ends_early_when_sources_are_large(bare_platform: Platform) -> None:
    await bare_platform.register("f", core_wat())
    for number in range(10):
        await bare_platform.put("f", f"{number}" + ";" * ((1 << 20) - 1))
    first = await bare_platform.http.get("/functions/f/revisions")
    assert 7 <= len(first.json()) <= 9
    assert "next" in first.links
    rest = await bare_platform.http.get(first.links["next"]["url"])
    assert len(first.json()) + len(rest.json()) == 11


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/functions/echo/revisions/9", 404),
        ("/functions/none/revisions", 404),
        ("/functions/none/revisions/1", 404),
        ("/functions/echo/revisions/x", 400),
        ("/functions/echo/revisions/0", 400),
        ("/functions/echo/revisions?cursor=x", 400),
        ("/functions/echo/revisions?limit=0", 400),
        ("/functions/echo/revisions?status=READY", 400),
    ],
)
async def test_revisions_that_are_unknown_or_badly_named(refusing: Platform, path: str, status: int) -> None:
    assert (await refusing.http.get(path)).status_code == status


async def test_revision_deployed_without_promotion_waits_for_it(platform: Platform) -> None:
    await deploy(platform, 1)
    function = await deploy(platform, 2, promote=False)
    assert (function["revision"], function["latest"]["status"]) == (1, "READY")
    assert (await platform.execute("f"))["output"] == 1
    assert (await platform.execute("f@2"))["output"] == 2
    promoted = await platform.http.post("/functions/f/promote", json={"revision": 2})
    assert (promoted.status_code, promoted.json()["revision"], promoted.json()["source"]) == (
        200,
        2,
        returning_wat("2"),
    )
    assert (await platform.execute("f"))["output"] == 2


async def test_deploy_of_the_same_source_makes_a_revision_only_where_it_would_change_something(
    platform: Platform,
) -> None:
    await deploy(platform, 1, 2)
    assert (await deploy(platform, 2))["latest"]["revision"] == 2  # live: nothing to do
    await platform.http.post("/functions/f/rollback")
    again = await platform.put("f", returning_wat("2"))
    assert (again["revision"], again["latest"]["status"]) == (3, "READY")  # rolled back: a new one, without compiling
    broken = "(module (broken))"
    for revision in (4, 5):  # FAILED: tried again
        assert (await platform.put("f", broken))["latest"]["revision"] == revision
        await platform.latest_settled("f")
    assert await platform.pool.fetchval("SELECT count(*) FROM modules") == 2


async def test_promote_that_is_not_possible_is_409_404_or_400(platform: Platform) -> None:
    await deploy(platform, 1, 0)
    conflict = await platform.http.post("/functions/f/promote", json={"revision": 2})
    assert (conflict.status_code, conflict.json()["type"]) == (409, "urn:faas:problem:revision-conflict")
    assert conflict.json()["detail"] == "revision 2 of function 'f' is FAILED; only READY ones go live"
    assert (await platform.http.post("/functions/f/promote", json={"revision": 3})).status_code == 404
    assert (await platform.http.post("/functions/none/promote", json={"revision": 1})).status_code == 404
    bad: list[object] = [
        {},
        {"revision": 0},
        {"revision": "1"},
        {"revision": 1 << 31},
        {"revision": 1, "all": True},
        [],
    ]
    for body in bad:
        response = await platform.http.post("/functions/f/promote", json=body)
        assert response.status_code == 400, body
    assert (await platform.execute("f"))["output"] == 1


async def test_rollback_goes_back_through_the_history_and_never_forward(platform: Platform) -> None:
    await deploy(platform, 1, 2, 3)
    for expected in (2, 1):
        answer = await platform.http.post("/functions/f/rollback")
        assert (answer.status_code, answer.json()["revision"]) == (200, expected)
        assert (await platform.execute("f"))["output"] == expected
    conflict = await platform.http.post("/functions/f/rollback")
    assert (conflict.status_code, conflict.json()["type"]) == (409, "urn:faas:problem:revision-conflict")
    assert "no earlier live revision to roll back to" in conflict.json()["detail"]
    assert (await platform.execute("f"))["output"] == 1
    await platform.http.post("/functions/f/promote", json={"revision": 3})
    assert (await platform.http.post("/functions/f/rollback", json={})).json()["revision"] == 1
    assert (await platform.http.post("/functions/f/rollback", json={"revision": 3})).status_code == 400
    assert (await platform.http.post("/functions/none/rollback")).status_code == 404


async def test_decision_cancels_the_promotion_of_revisions_that_wait(bare_platform: Platform) -> None:
    """A deploy that was sent before a rollback, and is compiled after it, does not undo the rollback."""
    await bare_platform.register("f", core_wat())
    await result(bare_platform, 1)
    await bare_platform.put("f", returning_wat("2"))
    await result(bare_platform, 2)
    await bare_platform.put("f", returning_wat("3"))
    assert (await bare_platform.http.post("/functions/f/rollback")).json()["revision"] == 1
    await bare_platform.put("f", returning_wat("4"))  # sent after it: it is promoted
    await result(bare_platform, 3)
    assert (await bare_platform.http.get("/functions/f")).json()["revision"] == 1
    await result(bare_platform, 4)
    assert (await bare_platform.http.get("/functions/f")).json()["revision"] == 4


async def result(platform: Platform, number: int) -> None:
    """Send the result of revision `number`, as an external compiler does, and wait until it is applied."""
    await platform.pool.execute(
        "SELECT pgmq.send('compilation_results', jsonb_build_object('functionId', id::text, 'revision', $1::int, "
        "'success', true, 'wasmBinary', encode($2::bytea, 'base64'))) FROM functions",
        number,
        wat(returning_wat(str(number))),
    )
    await eventually(
        lambda: platform.http.get(f"/functions/f@{number}"), lambda found: found.json()["status"] == "READY"
    )


@pytest.fixture
async def keeping_three(settings: Settings) -> AsyncIterator[Platform]:
    """A service that keeps three revisions of a function, and compiles."""
    changed = msgspec.structs.replace(settings, keep_revisions=3, role="all", languages=("wat",))
    async with open_service(changed) as service, open_pool(service.database_url, 4) as pool:
        transport = httpx.ASGITransport(service.application)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            yield Platform(http, pool, service.runtime)


async def test_kept_revisions_are_the_newest_and_failed_ones_go_first(keeping_three: Platform) -> None:
    await deploy(keeping_three, 1, 2, 0, 4)
    assert await kept(keeping_three) == [1, 2, 4]
    await deploy(keeping_three, 5)
    assert await kept(keeping_three) == [2, 4, 5]
    for path in ("/functions/f@1", "/functions/f@3", "/functions/f/revisions/1"):
        assert (await keeping_three.http.get(path)).status_code == 404
    assert (await keeping_three.http.post("/functions/f@1/execute", json={})).status_code == 404
    assert [(await keeping_three.http.post("/functions/f/rollback")).status_code for _ in range(3)] == [200, 200, 409]
    assert (await keeping_three.execute("f"))["output"] == 2


async def test_kept_revisions_have_the_live_one_however_old(keeping_three: Platform) -> None:
    await deploy(keeping_three, 1)
    for number in range(2, 7):
        await deploy(keeping_three, number, promote=False)
    assert await kept(keeping_three) == [1, 5, 6]
    assert (await keeping_three.execute("f"))["output"] == 1


async def test_kept_revisions_have_those_to_roll_back_to_before_those_that_were_never_live(
    keeping_three: Platform,
) -> None:
    await deploy(keeping_three, 1)
    await deploy(keeping_three, 2, promote=False)
    await deploy(keeping_three, 3, 4)
    assert await kept(keeping_three) == [1, 3, 4]


async def test_kept_revisions_have_those_that_wait(keeping_three: Platform) -> None:
    await deploy(keeping_three, 1)
    async with keeping_three.pool.acquire() as connection, connection.transaction():
        # Deploys whose compiler does not answer.
        await connection.execute("UPDATE functions SET newest_revision = 5")
        await connection.execute(
            "INSERT INTO revisions (function_id, number, language, source) "
            "SELECT id, number, 'assemblyscript', 'x' FROM functions, generate_series(2, 5) AS number"
        )
    await keeping_three.put("f", returning_wat("6"))
    assert await kept(keeping_three) == [1, 2, 3, 4, 5, 6]


async def test_kept_revisions_have_those_that_executions_run(keeping_three: Platform) -> None:
    await deploy(keeping_three, 1)
    await keeping_three.pool.execute(
        "INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at) "
        "SELECT gen_random_uuid(), id, 1, (SELECT id FROM processes LIMIT 1), '{}', now(), now() FROM functions"
    )
    await deploy(keeping_three, 2, 3, 4, 5)
    assert await kept(keeping_three) == [1, 4, 5]
    await keeping_three.pool.execute(
        "UPDATE executions SET status = 'COMPLETED', output = '1', completed_at = now() WHERE status = 'RUNNING'"
    )
    await deploy(keeping_three, 6)
    assert await kept(keeping_three) == [4, 5, 6]


async def test_modules_are_shared_and_removed_when_no_revision_has_them(keeping_three: Platform) -> None:
    """Two functions with one module; it goes when neither has a revision with it."""
    pool = keeping_three.pool
    await deploy(keeping_three, 1)
    await keeping_three.deploy("other", returning_wat("1"))
    assert await modules(pool) == 1
    await deploy(keeping_three, 2, 3, 4)
    assert await kept(keeping_three) == [2, 3, 4]
    cleanup = ModuleCleanup(pool, grace_seconds=0)
    assert (await modules(pool), await cleanup.remove(), await modules(pool)) == (4, 0, 4)
    assert (await keeping_three.execute("other"))["output"] == 1
    await keeping_three.http.delete("/functions/other")
    assert (await cleanup.remove(), await modules(pool)) == (1, 3)
    await keeping_three.http.delete("/functions/f")
    assert (await cleanup.remove(), await modules(pool)) == (3, 0)
    await assert_revision_invariants(pool)


async def test_modules_that_are_deployed_while_they_are_removed_are_kept(keeping_three: Platform) -> None:
    """The same module loses its last revision, is removed and stored, again and again, by several at once."""
    pool, cleanup = keeping_three.pool, ModuleCleanup(keeping_three.pool, grace_seconds=0)
    removing = asyncio.create_task(remove_until_cancelled(cleanup))
    for number in range(8):
        await keeping_three.deploy(f"f{number}", returning_wat("1"))
        assert (await keeping_three.execute(f"f{number}"))["output"] == 1
        await keeping_three.http.delete(f"/functions/f{number}")
    removing.cancel()
    await asyncio.gather(removing, return_exceptions=True)
    await assert_revision_invariants(pool)


async def remove_until_cancelled(cleanup: ModuleCleanup) -> None:
    while True:
        await cleanup.remove()


async def modules(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM modules"))

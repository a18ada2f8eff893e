"""The handler of compilation_results: applied once, never when outdated, and invalid messages are dead letters."""

import base64
import hashlib
import json
from typing import Any, get_args
from uuid import uuid4

import asyncpg
import pytest

from faas.bootstrap import open_service
from faas.database.migrations import migrate
from faas.database.pool import Pool
from faas.languages import ENGINE_LANGUAGES, Language
from faas.settings import Settings
from tests.helpers import version_1
from tests.helpers.engines import image_of
from tests.helpers.support import Platform, core_wat, eventually, wat

READY_WASM = base64.b64encode(wat(core_wat())).decode()


async def send(pool: Pool, message: Any, queue: str = "compilation_results") -> int:
    text = message if isinstance(message, str) else json.dumps(message)
    sent: int = await pool.fetchval("SELECT * FROM pgmq.send($1, $2::jsonb)", queue, text)
    return sent


async def waiting(bare_platform: Platform, name: str = "waits", language: str = "assemblyscript") -> dict[str, Any]:
    """Create a function whose job an external compiler (this test) has archived."""
    function = await bare_platform.register(name, "ZWxzZXdoZXJl", language)
    await take_job(bare_platform.pool, function["id"])
    return function


async def take_job(pool: Pool, function_id: str) -> dict[str, Any]:
    async def take() -> dict[str, Any]:
        row = await pool.fetchrow(
            "DELETE FROM pgmq.q_compilation_jobs WHERE message ->> 'functionId' = $1 RETURNING message::text",
            function_id,
        )
        return {} if row is None else dict(json.loads(row["message"]))

    return await eventually(take)


async def archived(pool: Pool, message_id: int) -> dict[str, Any]:
    async def find() -> Any:
        return await pool.fetchrow(
            "SELECT message::text, headers::text FROM pgmq.a_compilation_results WHERE msg_id = $1", message_id
        )

    row = await eventually(find)
    return dict(json.loads(row["headers"] or "{}"))


async def get(bare_platform: Platform, name: str = "waits") -> dict[str, Any]:
    function: dict[str, Any] = (await bare_platform.http.get(f"/functions/{name}")).json()
    return function


async def test_compile_results_external_compiler_in_plain_sql(bare_platform: Platform) -> None:
    function = await bare_platform.register("waits", "any source", "assemblyscript")
    job = await take_job(bare_platform.pool, function["id"])
    assert job == {
        "functionId": function["id"], "revision": 1, "language": "assemblyscript", "source": "any source"
    }  # fmt: skip
    await send(bare_platform.pool, {"kind": "started", "functionId": function["id"], "revision": 1})

    async def status() -> str:
        return str((await get(bare_platform))["status"])

    await eventually(status, lambda found: found == "COMPILING")
    await send(
        bare_platform.pool,
        {"functionId": function["id"], "revision": 1, "success": True, "wasmBinary": READY_WASM, "error": None},
    )
    assert (await bare_platform.settled("waits"))["status"] == "READY"
    assert (await bare_platform.execute("waits", {"a": 1}))["output"] == {"a": 1}


async def test_compile_results_failure_stores_the_diagnostics(bare_platform: Platform) -> None:
    function = await waiting(bare_platform)
    error = "ERROR: no such thing\n  in function.ts(1,2)"
    await send(bare_platform.pool, {"functionId": function["id"], "revision": 1, "success": False, "error": error})
    found = await bare_platform.settled("waits")
    assert (found["status"], found["compileError"]) == ("FAILED", error)


async def test_compile_results_without_a_revision_apply_to_the_current_one(bare_platform: Platform) -> None:
    function = await waiting(bare_platform)
    await send(bare_platform.pool, {"functionId": function["id"], "success": True, "wasmBinary": READY_WASM})
    assert (await bare_platform.settled("waits"))["status"] == "READY"


async def test_compile_results_start_does_not_wait_for_a_deploy(bare_platform: Platform) -> None:
    function = await waiting(bare_platform)
    async with bare_platform.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM functions FOR UPDATE")
        await send(bare_platform.pool, {"kind": "started", "functionId": function["id"], "revision": 1})
        status = "SELECT status FROM revisions WHERE number = 1"
        await eventually(lambda: bare_platform.pool.fetchval(status), "COMPILING".__eq__)


async def test_compile_results_duplicate_or_late_change_nothing(bare_platform: Platform) -> None:
    function = await waiting(bare_platform)
    result = {"functionId": function["id"], "revision": 1, "success": True, "wasmBinary": READY_WASM}
    await send(bare_platform.pool, result)
    before = await bare_platform.settled("waits")
    again = [
        await send(bare_platform.pool, result),
        await send(bare_platform.pool, {**result, "success": False, "wasmBinary": None, "error": "late"}),
        await send(bare_platform.pool, {"kind": "started", "functionId": function["id"], "revision": 1}),
        await send(bare_platform.pool, {"kind": "started", "functionId": function["id"]}),
    ]
    for message_id in again:
        assert await archived(bare_platform.pool, message_id) == {}
    assert await get(bare_platform) == before


async def test_compile_results_are_applied_to_their_own_revision(bare_platform: Platform) -> None:
    function = await waiting(bare_platform)
    body = {"name": "waits", "language": "assemblyscript", "source": "newer"}
    assert (await bare_platform.http.put("/functions/waits", json=body)).json()["revision"] == 2
    await take_job(bare_platform.pool, function["id"])
    old = {"functionId": function["id"], "revision": 1, "success": True, "wasmBinary": READY_WASM}
    await archived(bare_platform.pool, await send(bare_platform.pool, old))
    older = await get(bare_platform)
    assert (older["status"], older["revision"], older["latest"]["status"]) == ("READY", 1, "PENDING")
    newer = base64.b64encode(wat(core_wat("(i64.const 0)"))).decode()
    await send(bare_platform.pool, {**old, "revision": 2, "wasmBinary": newer})
    assert (await bare_platform.latest_settled("waits"))["revision"] == 2
    digest = hashlib.sha256(base64.b64decode(newer)).digest()
    modules = "SELECT array_agg(module_digest ORDER BY number) FROM revisions"
    assert (await bare_platform.pool.fetchval(modules))[1] == digest


async def test_compile_results_for_a_deleted_function_are_archived(bare_platform: Platform) -> None:
    result = {"functionId": str(uuid4()), "revision": 1, "success": True, "wasmBinary": READY_WASM}
    assert await archived(bare_platform.pool, await send(bare_platform.pool, result)) == {}


UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"wasmBinary": base64.b64encode(b"junk").decode()}, "not a valid WebAssembly module"),
    ({"wasmBinary": base64.b64encode(wat("(module)")).decode()}, "follows no known calling convention"),
    ({"wasmBinary": "no base64!"}, "the compiler's module is not base64"),
    ({"wasmBinary": None}, "the compiler reported success without a module"),
    ({"success": False}, "the compiler failed without saying why"),
]


@pytest.mark.parametrize(("change", "error"), UNUSABLE)
async def test_compile_results_module_is_checked_before_ready(
    bare_platform: Platform, change: dict[str, Any], error: str
) -> None:
    function = await waiting(bare_platform)
    result = {"functionId": function["id"], "revision": 1, "success": True, "wasmBinary": READY_WASM, **change}
    await send(bare_platform.pool, result)
    found = await bare_platform.settled("waits")
    assert found["status"] == "FAILED"
    assert error in found["compileError"]


@pytest.mark.parametrize("revision", [{"revision": 1}, {}])
@pytest.mark.parametrize("language", sorted(set(get_args(Language)) - set(ENGINE_LANGUAGES)))
async def test_compile_results_image_of_an_engine_is_refused_for_other_languages(
    bare_platform: Platform, language: str, revision: dict[str, int]
) -> None:
    function = await waiting(bare_platform, language=language)
    image = base64.b64encode(image_of(b"1")).decode()
    result = {"functionId": function["id"], "success": True, "wasmBinary": image, **revision}
    await send(bare_platform.pool, result)
    found = await bare_platform.settled("waits")
    assert found["status"] == "FAILED"
    assert found["compileError"] == (
        "the module has a custom section faas.engine, which only functions in javascript, typescript, python may have: "
        "the compiler must remove it"
    )


async def test_compile_results_base64_with_line_breaks(bare_platform: Platform) -> None:
    """Postgres' encode() inserts line breaks, as base64(1) does."""
    function = await waiting(bare_platform)
    await bare_platform.pool.execute(
        "SELECT pgmq.send('compilation_results', jsonb_build_object('functionId', $1::text, 'revision', 1, "
        "'success', true, 'wasmBinary', encode($2::bytea, 'base64')))",
        function["id"],
        wat(core_wat()),
    )
    assert (await bare_platform.settled("waits"))["status"] == "READY"


async def test_compile_results_long_error_is_truncated(bare_platform: Platform) -> None:
    function = await waiting(bare_platform)
    await send(bare_platform.pool, {"functionId": function["id"], "success": False, "error": "x" * 200_000})
    found = await bare_platform.settled("waits")
    assert len(found["compileError"]) < 70_000
    assert found["compileError"].endswith("… 134464 more characters")


@pytest.mark.parametrize("revision", [3_000_000_000, 0, -1, 1.5, "one", [1]])
async def test_compile_results_invalid_revision_fails_the_only_revision(
    bare_platform: Platform, revision: object
) -> None:
    function = await waiting(bare_platform)
    result = {"functionId": function["id"], "revision": revision, "success": True, "wasmBinary": READY_WASM}
    headers = await archived(bare_platform.pool, await send(bare_platform.pool, result))
    assert headers["rejected"].startswith("does not decode: ")
    assert (await bare_platform.settled("waits"))["status"] == "FAILED"


@pytest.mark.parametrize("revision", [3_000_000_000, 0, "one", 9])
async def test_compile_results_revision_that_there_is_not_fails_no_other_one(
    bare_platform: Platform, revision: object
) -> None:
    function = await waiting(bare_platform)
    await bare_platform.put("waits", "newer", "assemblyscript")
    await take_job(bare_platform.pool, function["id"])
    result = {"functionId": function["id"], "revision": revision, "success": False, "error": "no"}
    await archived(bare_platform.pool, await send(bare_platform.pool, result))
    statuses = "SELECT array_agg(status ORDER BY number) FROM revisions"
    assert await bare_platform.pool.fetchval(statuses) == ["PENDING", "PENDING"]
    await send(bare_platform.pool, {**result, "revision": 2, "success": True, "wasmBinary": READY_WASM})
    assert (await bare_platform.latest_settled("waits"))["status"] == "READY"


async def test_compile_results_without_a_revision_may_be_for_a_revision_that_was_removed(
    bare_platform: Platform,
) -> None:
    function = await waiting(bare_platform)
    result = {"functionId": function["id"], "success": False, "error": "of the first"}
    await send(bare_platform.pool, result)
    await bare_platform.settled("waits")
    await bare_platform.put("waits", "newer", "assemblyscript")
    await take_job(bare_platform.pool, function["id"])
    await bare_platform.pool.execute("DELETE FROM revisions WHERE number = 1")
    headers = await archived(bare_platform.pool, await send(bare_platform.pool, result))
    assert headers["rejected"] == "the compiler must echo `revision`"


async def test_compile_results_without_a_revision_apply_to_the_only_one_of_a_migrated_function(
    empty_database: str, settings: Settings
) -> None:
    """Version 0.1.0 counted revisions and kept one, so that the number of the only one may be any."""
    connection = await asyncpg.connect(empty_database)
    await version_1.create(connection)
    await migrate(connection)
    compiling, revised = version_1.FUNCTIONS["compiling"], version_1.FUNCTIONS["revised"]
    await connection.execute("DELETE FROM pgmq.q_compilation_jobs")
    await connection.close()
    assert (compiling.revision, revised.revision) == (2, 5)
    started = Settings(database_url=empty_database, data_dir=settings.data_dir, role="api")
    async with asyncpg.create_pool(empty_database, min_size=1, max_size=2) as pool, open_service(started):
        await send(pool, {"functionId": str(compiling.id), "success": True, "wasmBinary": READY_WASM})
        await send(pool, {"functionId": str(revised.id), "revision": 0, "success": True, "wasmBinary": READY_WASM})

        async def outcomes() -> dict[str, Any]:
            rows = await pool.fetch(
                "SELECT name, live_revision, status FROM functions JOIN revisions ON function_id = id "
                "WHERE id = ANY($1) AND status IN ('READY', 'FAILED')",
                [compiling.id, revised.id],
            )
            return {row["name"]: (row["live_revision"], row["status"]) for row in rows}

        expected = {"compiling": (2, "READY"), "revised": (None, "FAILED")}
        await eventually(outcomes, lambda found: found == expected)


UNDECODABLE = ['{"success": true}', "[]", '"text"', "null", '{"functionId": "x", "success": true}', '{"kind": "other"}']


@pytest.mark.parametrize("message", UNDECODABLE)
async def test_dead_letter_undecodable_result_is_archived_with_its_reason(
    bare_platform: Platform, message: str
) -> None:
    headers = await archived(bare_platform.pool, await send(bare_platform.pool, message))
    assert headers["rejected"].startswith("does not decode: ")


async def test_dead_letter_undecodable_result_fails_the_waiting_function(bare_platform: Platform) -> None:
    function = await waiting(bare_platform)
    await send(bare_platform.pool, {"functionId": function["id"], "revision": 1, "success": "perhaps"})
    found = await bare_platform.settled("waits")
    assert found["status"] == "FAILED"
    assert "could not be used: does not decode" in found["compileError"]


async def test_dead_letter_after_five_deliveries_fails_the_waiting_function(bare_platform: Platform) -> None:
    function = await waiting(bare_platform)
    async with bare_platform.pool.acquire() as connection, connection.transaction():
        message_id = await connection.fetchval(
            "SELECT * FROM pgmq.send('compilation_results', $1::jsonb)",
            json.dumps({"functionId": function["id"], "revision": 1, "success": True, "wasmBinary": READY_WASM}),
        )
        await connection.execute("UPDATE pgmq.q_compilation_results SET read_ct = 5 WHERE msg_id = $1", message_id)
    assert (await archived(bare_platform.pool, message_id))["rejected"] == "failed after 5 attempts"
    found = await bare_platform.settled("waits")
    assert (found["status"], "failed after 5 attempts" in found["compileError"]) == ("FAILED", True)


async def test_compile_results_transient_database_error_causes_redelivery(bare_platform: Platform) -> None:
    """The connection of the handler is terminated while it waits for a lock: the message is redelivered and applied."""
    function = await waiting(bare_platform)
    name = await bare_platform.pool.fetchval("SELECT current_database()")
    async with bare_platform.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM functions FOR UPDATE")
        message_id = await send(
            bare_platform.pool,
            {"functionId": function["id"], "revision": 1, "success": True, "wasmBinary": READY_WASM},
        )

        async def blocked() -> Any:
            return await bare_platform.pool.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'", name
            )

        # Terminate the handler's connection during its update.
        await bare_platform.pool.execute("SELECT pg_terminate_backend($1)", await eventually(blocked))
        await transaction.rollback()
    assert (await bare_platform.settled("waits"))["status"] == "READY"
    assert await archived(bare_platform.pool, message_id) == {}
    reads = await bare_platform.pool.fetchval(
        "SELECT read_ct FROM pgmq.a_compilation_results WHERE msg_id = $1", message_id
    )
    assert reads == 2


async def test_compile_results_update_and_archive_are_one_transaction(bare_platform: Platform) -> None:
    """When archiving fails, the function is unchanged."""
    function = await waiting(bare_platform)
    await bare_platform.pool.execute("ALTER TABLE pgmq.a_compilation_results RENAME TO away")
    await send(
        bare_platform.pool, {"functionId": function["id"], "revision": 1, "success": True, "wasmBinary": READY_WASM}
    )

    async def attempts() -> int:
        return int(
            await bare_platform.pool.fetchval("SELECT coalesce(max(read_ct), 0) FROM pgmq.q_compilation_results")
        )

    await eventually(attempts, lambda count: count >= 2)
    assert (await get(bare_platform))["status"] == "PENDING"
    await bare_platform.pool.execute("ALTER TABLE pgmq.away RENAME TO a_compilation_results")
    assert (await bare_platform.settled("waits"))["status"] == "READY"

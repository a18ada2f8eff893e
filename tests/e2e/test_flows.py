"""Tests of the six flows, over HTTP with a server process and the real compiler."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.breakpoints import results_held
from tests.helpers.server import client_of, serving
from tests.helpers.support import ECHO_TS, Platform, eventually

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
async def alone(database_url: str) -> AsyncIterator[Platform]:
    """A server of one test, for those that look at all rows of a table or lock it."""
    settings = ("--database-url", database_url, "--languages", "assemblyscript", "--compile-workers", "1")
    async with serving(*settings) as server, client_of(server, database_url) as platform:
        yield platform


async def test_flow_1_register_function_compile_succeeds(served: Platform) -> None:
    async def status() -> str:
        return str((await served.http.get("/functions/sum")).json()["status"])

    async with results_held(served.pool):
        registered = await served.register("sum", (EXAMPLES / "sum.as.ts").read_text(), "assemblyscript")
        assert registered["status"] == "PENDING"
        # Set when a compiler has received the job, not when the job is sent.
        await eventually(status, lambda found: found == "COMPILING")
    await eventually(status, lambda found: found == "READY")
    row = await served.pool.fetchrow(
        "SELECT wasm, compile_error FROM revisions JOIN modules ON digest = module_digest WHERE function_id = $1",
        registered["id"],
    )
    assert row
    assert row["wasm"].startswith(b"\0asm")
    assert row["compile_error"] is None
    for queue in ("compilation_jobs", "compilation_results"):
        assert await served.pool.fetchval(f"SELECT count(*) FROM pgmq.q_{queue}") == 0
    results = await served.pool.fetch(
        "SELECT message::text FROM pgmq.a_compilation_results WHERE message->>'functionId' = $1 ORDER BY msg_id",
        registered["id"],
    )
    started, result = [json.loads(row["message"]) for row in results]
    assert started == {"kind": "started", "functionId": registered["id"], "revision": 1}
    assert (result["success"], result["error"]) == (True, None)


async def test_flow_2_register_function_compile_fails(alone: Platform) -> None:
    await alone.register("bad", "export function handle(input: string): string {\n  return 5;\n}", "assemblyscript")
    function = await alone.settled("bad")
    assert function["status"] == "FAILED"
    assert "Type 'i32' is not assignable to type '~lib/string/String'" in function["compileError"]
    assert "function.ts(2,10)" in function["compileError"]
    assert await alone.pool.fetchval("SELECT module_digest FROM revisions") is None
    assert await alone.pool.fetchval("SELECT count(*) FROM modules") == 0


async def test_flow_3_lambda_request_id_is_the_id_of_the_execution(served: Platform) -> None:
    await served.deploy("f", "export const handler = (event, context) => context.awsRequestId;", "javascript")
    execution = await served.execute("f")
    assert execution["output"] == execution["id"]


async def test_flow_3_execute_function(served: Platform) -> None:
    await served.deploy("sum", (EXAMPLES / "sum.as.ts").read_text(), "assemblyscript")
    execution = await served.execute("sum", {"numbers": [1, 2, 3.5]})
    assert (execution["status"], execution["output"]) == ("COMPLETED", {"sum": 6.5, "count": 3})
    row = await served.pool.fetchrow(
        "SELECT status, input::text, output::text, started_at, completed_at FROM executions WHERE id = $1",
        execution["id"],
    )
    assert row
    assert row["status"] == "COMPLETED"
    assert json.loads(row["input"]) == {"numbers": [1, 2, 3.5]}
    assert row["output"] == '{"sum":6.5,"count":3}'
    assert row["started_at"] <= row["completed_at"]


async def test_flow_4_execute_rejected_function_not_ready(served: Platform) -> None:
    await served.register("bad", "no code", "assemblyscript")
    early = await served.http.post("/functions/bad/execute", json={})
    assert early.status_code == 400
    function = await served.settled("bad")
    response = await served.http.post("/functions/bad/execute", json={})
    assert response.status_code == 400
    assert "is FAILED, not READY" in response.json()["detail"]
    assert function["compileError"] in response.json()["detail"]
    recorded = await served.pool.fetchval("SELECT count(*) FROM executions WHERE function_id = $1", function["id"])
    assert recorded == 0


async def test_flow_5_execute_runtime_failure(served: Platform) -> None:
    source = """export function handle(input: string): string {
      if (input == '{"fail":"trap"}') unreachable();
      if (input == '{"fail":"abort"}') throw new Error("no apples");
      return "no json";
    }"""
    await served.deploy("fails", source, "assemblyscript")
    expected = {
        "trap": "trap: unreachable code was reached in function/handle",
        "abort": "abort: no apples in function.ts(3,40)",
        "json": "invalid JSON: JSON is malformed: invalid character (byte 0); the output begins: no json",
    }
    for failure, message in expected.items():
        response = await served.http.post(
            "/functions/fails/execute",
            content=json.dumps({"input": {"fail": failure}}, separators=(",", ":")).encode(),
            headers={"Content-Type": "application/json"},
        )
        execution = response.json()
        assert (response.status_code, execution["status"], execution["output"]) == (200, "FAILED", None)
        assert execution["errorMessage"] == message
        recorded = await served.pool.fetchval("SELECT error_message FROM executions ORDER BY id DESC LIMIT 1")
        assert recorded == message


async def test_flow_6_queue_redelivery(alone: Platform) -> None:
    """When the connection breaks during the update, the message is redelivered and applied once."""
    async with alone.pool.acquire() as connection:
        await alone.register("echo", ECHO_TS, "assemblyscript")
        transaction = connection.transaction()
        await transaction.start()
        # The lock lets reads pass and blocks the update of the handler, after its read of the message.
        await connection.execute("LOCK TABLE revisions IN SHARE ROW EXCLUSIVE MODE")

        async def blocked() -> Any:
            return await alone.pool.fetchval(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
                "AND query LIKE '%UPDATE revisions%' LIMIT 1"
            )

        pid = await eventually(blocked)
        await alone.pool.execute("SELECT pg_terminate_backend($1)", pid)
        await transaction.rollback()
    function = await alone.settled("echo", timeout=60)
    assert (function["status"], function["revision"]) == ("READY", 1)
    assert (await alone.execute("echo", {"a": 1}))["output"] == {"a": 1}
    reads = await alone.pool.fetchval("SELECT max(read_ct) FROM pgmq.a_compilation_results")
    assert reads >= 2

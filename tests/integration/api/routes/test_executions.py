"""Routes of executions: what is passed to the function, what is recorded, and which errors are answered how."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from tests.helpers.retention import create_old_partitions, insert_executions
from tests.helpers.support import LOOP_WAT, Platform, core_wat, eventually, returning_wat

FIELDS = {
    "id", "functionId", "revision", "status", "output", "errorMessage", "createdAt", "startedAt", "completedAt",
    "durationMs",
    "invokedBy",
}  # fmt: skip
JSON = {"Content-Type": "application/json"}


async def test_execute_answers_and_records_the_exact_json(platform: Platform) -> None:
    await platform.deploy("echo", core_wat())
    execution_input = '{"z": 1.0e400, "a": "\\u0000 é", "n": 12345678901234567890123, "z": 2}'
    response = await platform.http.post(
        "/functions/echo/execute", content=f'{{ "input" :  {execution_input} }}'.encode(), headers=JSON
    )
    assert response.status_code == 200
    assert f'"output":{execution_input},' in response.text
    execution_id = response.text.split('"')[3]
    record = await platform.http.get(f"/executions/{execution_id}")
    assert f'"input":{execution_input},' in record.text
    assert f'"output":{execution_input},' in record.text
    listed = await platform.http.get("/functions/echo/executions")
    assert f'"output":{execution_input},' in listed.text


async def test_execute_answers_the_fields_of_the_contract(platform: Platform) -> None:
    function = await platform.deploy("echo", core_wat())
    execution = await platform.execute("echo", {"a": 1})
    assert set(execution) == FIELDS
    assert UUID(execution["id"]).version == 7
    assert (execution["functionId"], execution["revision"]) == (function["id"], 1)
    assert execution["status"] == "COMPLETED"
    assert execution["errorMessage"] is None
    assert execution["createdAt"] <= execution["startedAt"] <= execution["completedAt"]
    assert execution["completedAt"].endswith("Z")
    assert execution["durationMs"] >= 0
    record = (await platform.http.get(f"/executions/{execution['id']}")).json()
    assert set(record) == FIELDS | {"input", "logs", "requests", "payloadsExpired"}
    assert record["input"] == {"a": 1}
    for field in FIELDS:
        assert record[field] == execution[field]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"input": null}', b'{"input":{}}', b' { "input" : { } } '])
async def test_execute_without_input_passes_an_empty_object(platform: Platform, body: bytes) -> None:
    await platform.deploy("echo", core_wat())
    response = await platform.http.post("/functions/echo/execute", content=body, headers=JSON)
    assert (response.status_code, response.json()["output"]) == (200, {})


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"input": [1]}', "input: is an array; accepted is a JSON object"),
        (b'{"input": "x"}', "input: is a string"),
        (b'{"input": 5}', "input: is a number"),
        (b'{"input": true}', "input: is a boolean"),
        (b'{"inputs": {}}', "inputs: is not a field of this request"),
        (b"[]", "body: Expected `object`, got `array`"),
        (b'{"input": {"a": NaN}}', "body: JSON is malformed: invalid character (byte 16)"),
        (b'{"input": {}} x', "body: JSON is malformed: trailing characters (byte 14)"),
        (b"{", "body: JSON is malformed: it ends too early"),
        (b'{"input": {"a": 01}}', "body: JSON is malformed"),
        (b'{"input": {"a": "\xff"}}', "body: invalid UTF-8 at byte"),
        (b'{"input": {"a": "\\ud800"}}', "body: unpaired surrogate escape \\ud800 (byte 17)"),
        (b'{"input": ' + b'{"a":' * 501 + b"1" + b"}" * 502, "body: nested deeper than 500 levels"),
        (b'{"input": ' + b"[" * 100_000, "body: nested deeper than 500 levels"),
    ],
)
async def test_execute_invalid_body_is_400_and_records_nothing(refusing: Platform, body: bytes, detail: str) -> None:
    response = await refusing.http.post("/functions/echo/execute", content=body, headers=JSON)
    assert response.status_code == 400
    assert detail in response.json()["detail"]
    assert (await refusing.http.get("/functions/echo/executions")).json() == []


async def test_execute_input_over_the_limit_is_413(platform: Platform) -> None:
    await platform.deploy("echo", core_wat())
    for size in ((6 << 20) + 1, 7 << 20):
        content = b'{"input":{"a":"' + b"x" * size + b'"}}'
        response = await platform.http.post("/functions/echo/execute", content=content, headers=JSON)
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
    assert (await platform.http.get("/functions/echo/executions")).json() == []


async def test_execute_input_just_within_the_limit_is_accepted(platform: Platform) -> None:
    await platform.deploy("size", returning_wat("1"))
    execution_input = b'{"a":"' + b"x" * ((6 << 20) - 8) + b'"}'
    response = await platform.http.post(
        "/functions/size/execute", content=b'{"input":' + execution_input + b"}", headers=JSON
    )
    # The module's memory cannot hold it: a failure of the function, not of the request.
    assert response.status_code == 200
    assert response.json()["status"] == "FAILED"


async def test_execute_failure_of_the_function_is_200_failed(platform: Platform) -> None:
    await platform.deploy("broken", core_wat("unreachable"))
    execution = await platform.execute("broken")
    assert (execution["status"], execution["output"]) == ("FAILED", None)
    assert execution["errorMessage"] == "trap: unreachable code was reached in handle"
    record = (await platform.http.get(f"/executions/{execution['id']}")).json()
    assert (record["status"], record["errorMessage"]) == ("FAILED", execution["errorMessage"])


async def test_execute_function_that_is_not_ready_is_400_with_the_reason(platform: Platform) -> None:
    await platform.register("waiting", "export", "assemblyscript")  # no process compiles this language
    response = await platform.http.post("/functions/waiting/execute", json={})
    detail = response.json()["detail"]
    assert response.status_code == 400
    assert "is PENDING, not READY" in detail or "is COMPILING, not READY" in detail or "is FAILED, not READY" in detail
    await platform.register("bad", "(module")
    await platform.settled("bad")
    response = await platform.http.post("/functions/bad/execute", json={})
    assert response.status_code == 400
    assert "function 'bad' is FAILED, not READY" in response.json()["detail"]
    assert "function.wat:1" in response.json()["detail"]


async def test_unknown_references_are_404_and_invalid_ones_400(platform: Platform) -> None:
    assert (await platform.http.post("/functions/unknown/execute", json={})).status_code == 404
    assert (await platform.http.get("/functions/unknown/executions")).status_code == 404
    assert (await platform.http.get(f"/executions/{uuid4()}")).status_code == 404
    for path in (
        "/executions/1",
        f"/executions/urn:uuid:{uuid4()}",
        f"/executions/{uuid4().hex}",
        "/functions/1",
        "/functions/1/executions",
        "/functions/%00",
    ):
        response = await platform.http.get(path)
        assert response.status_code == 400
        assert response.json()["detail"].startswith("id: ")


async def test_list_executions_paginates_newest_first_with_filter(platform: Platform) -> None:
    await platform.deploy("echo", core_wat())
    ids = [(await platform.execute("echo", {"n": number}))["id"] for number in range(5)]
    following: str | None = "/functions/echo/executions?limit=2"
    seen: list[str] = []
    while following:
        response = await platform.http.get(following)
        assert all(set(execution) == FIELDS for execution in response.json())
        seen += [execution["id"] for execution in response.json()]
        following = response.links.get("next", {}).get("url")
    assert seen == ids[::-1]
    assert len((await platform.http.get("/functions/echo/executions?status=COMPLETED")).json()) == 5
    assert (await platform.http.get("/functions/echo/executions?status=FAILED")).json() == []


async def test_list_executions_limits_the_bytes_of_a_page(platform: Platform) -> None:
    size = 3 << 20
    await platform.deploy("large", core_wat(f"(i64.const {(2048 << 32) | 1})", extra='(data (i32.const 2048) "1")'))
    for _ in range(5):
        await platform.execute("large")
    await platform.pool.execute("UPDATE executions SET output = to_json(repeat('x', $1))", size)
    following: str | None = "/functions/large/executions"
    pages = []
    while following:
        response = await platform.http.get(following)
        pages.append(len(response.json()))
        following = response.links.get("next", {}).get("url")
    assert pages == [3, 2]
    await platform.pool.execute("UPDATE executions SET output = to_json(repeat('x', $1))", 10 << 20)
    response = await platform.http.get("/functions/large/executions?limit=3")
    assert len(response.json()) == 1  # one at least, however large
    assert "next" in response.links


async def test_list_executions_has_running_ones(platform: Platform) -> None:
    import asyncio

    await platform.deploy("loop", LOOP_WAT)
    running = asyncio.create_task(platform.execute("loop"))

    async def rows() -> list[str]:
        return [row["status"] for row in await platform.pool.fetch("SELECT status FROM executions")]

    assert await eventually(rows) == ["RUNNING"]
    listed = (await platform.http.get("/functions/loop/executions?status=RUNNING")).json()
    assert [(e["completedAt"], e["durationMs"]) for e in listed] == [(None, None)]
    assert (await running)["errorMessage"] == "time limit of 1s exceeded"
    assert await rows() == ["FAILED"]


async def test_execute_outcome_is_durable_before_the_answer(platform: Platform) -> None:
    assert await platform.pool.fetchval("SHOW fsync") == "on"
    assert await platform.pool.fetchval("SHOW synchronous_commit") == "on"
    assert await platform.pool.fetchval("SHOW full_page_writes") == "on"
    await platform.deploy("echo", core_wat())
    execution = await platform.execute("echo")
    recorded = await platform.pool.fetchval("SELECT status FROM executions WHERE id = $1", UUID(execution["id"]))
    assert recorded == "COMPLETED"


async def test_execute_tight_loops_do_not_block_other_requests(platform: Platform) -> None:
    import asyncio

    await platform.deploy("loop", LOOP_WAT)
    await platform.deploy("echo", core_wat())
    loops = [asyncio.create_task(platform.execute("loop")) for _ in range(4)]
    beside = 0
    while not all(loop.done() for loop in loops):
        await platform.execute("echo")
        beside += 1
    assert {loop.result()["errorMessage"] for loop in loops} == {"time limit of 1s exceeded"}
    assert beside >= 10  # a loop that blocked the others would let none through


async def test_execute_accepts_only_post(platform: Platform) -> None:
    response = await platform.http.get("/functions/echo/execute")
    assert (response.status_code, response.headers["allow"]) == (405, "OPTIONS, POST")
    assert response.json()["type"] == "urn:faas:problem:method-not-allowed"
    response = await platform.http.options("/functions/echo/execute")
    assert (response.status_code, response.headers["allow"], response.content) == (204, "OPTIONS, POST", b"")
    assert "content-length" not in response.headers


async def test_execute_body_of_unknown_length_over_the_limit_is_413(platform: Platform) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * (1 << 16)

    headers = {"Content-Type": "application/json"}
    response = await platform.http.post("/functions/echo/execute", content=pieces(), headers=headers)
    assert response.status_code == 413
    assert response.json()["type"] == "urn:faas:problem:payload-too-large"
    assert not await platform.pool.fetchval("SELECT count(*) FROM executions")


async def test_get_execution_whose_payloads_are_expired_has_null_payloads(platform: Platform) -> None:
    await platform.deploy("echo", core_wat())
    execution = await platform.execute("echo", {"a": 1})
    record = (await platform.http.get(f"/executions/{execution['id']}")).json()
    assert (record["input"], record["payloadsExpired"]) == ({"a": 1}, False)
    await platform.pool.execute(
        "UPDATE executions SET input = NULL, output = NULL, logs = NULL, payloads_expired = true"
    )
    expired = (await platform.http.get(f"/executions/{execution['id']}")).json()
    assert expired == record | {"input": None, "output": None, "logs": None, "payloadsExpired": True}
    (listed,) = (await platform.http.get("/functions/echo/executions")).json()
    assert (listed["status"], listed["output"]) == ("COMPLETED", None)


async def test_list_executions_pages_cross_partitions(platform: Platform) -> None:
    """A page is filled from recent partitions first; what they lack comes from the others, in one order."""
    function = await platform.deploy("echo", core_wat())
    await create_old_partitions(platform.pool, 30)
    ages = [timedelta(hours=hours) for hours in (*range(0, 20, 5), *range(40, 60, 5), *range(200, 700, 20))]
    ids = await insert_executions(platform.pool, UUID(function["id"]), ages)
    other = await platform.deploy("other", core_wat())
    await insert_executions(platform.pool, UUID(other["id"]), ages)
    for limit in (1, 3, 4, 8, 9, 32, 33, 34, 50):
        found, path = [], f"/functions/echo/executions?limit={limit}"
        while path:
            response = await platform.http.get(path)
            page = [UUID(item["id"]) for item in response.json()]
            assert len(page) == limit or "next" not in response.links
            found += page
            path = response.links.get("next", {}).get("url", "")
        assert found == ids, limit
    response = await platform.http.get("/functions/echo/executions?status=FAILED")
    assert (response.json(), response.links) == ([], {})


async def test_list_executions_limits_the_bytes_of_a_page_across_partitions(platform: Platform) -> None:
    function = await platform.deploy("echo", core_wat())
    await create_old_partitions(platform.pool, 30)
    ages = [timedelta(hours=hours) for hours in (1, 2, 200, 300, 400)]
    payload = '"' + "x" * (3 << 20) + '"'
    ids = await insert_executions(platform.pool, UUID(function["id"]), ages, payload=payload)
    sizes, found, path = [], [], "/functions/echo/executions"
    while path:
        response = await platform.http.get(path)
        sizes.append(len(response.json()))
        found += [UUID(item["id"]) for item in response.json()]
        path = response.links.get("next", {}).get("url", "")
    assert (sizes, found) == ([3, 2], ids)

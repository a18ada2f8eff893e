"""Routes of functions: responses, headers, errors that name the field."""

import base64
from typing import Any, get_args
from uuid import UUID

import pytest

from faas.languages import Language
from faas.retention.batches import Pacer
from faas.retention.policy import Policy
from faas.retention.run import run_once
from tests.helpers.support import Platform, core_wat, wat

FIELDS = {
    "id", "name", "description", "language", "source", "settings", "status", "compileError", "revision", "latest",
    "contract", "createdAt", "updatedAt",
}  # fmt: skip


async def test_create_function_answers_201_with_location_and_a_pending_function(platform: Platform) -> None:
    body = {"name": "echo", "language": "wat", "source": core_wat(), "description": "gives back"}
    response = await platform.http.post("/functions", json=body)
    function = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/functions/{function['id']}"
    assert set(function) == FIELDS
    assert (function["status"], function["revision"], function["compileError"]) == ("PENDING", 1, None)
    assert (function["settings"], function["contract"]) == ({}, None)
    assert function["latest"] == {
        "revision": 1, "status": "PENDING", "compileError": None, "createdAt": function["latest"]["createdAt"]
    }  # fmt: skip
    assert function["createdAt"].endswith("Z")
    assert function["latest"]["createdAt"].endswith("Z")
    assert UUID(function["id"]).version == 7
    assert (await platform.http.get(response.headers["location"])).json()["name"] == "echo"


async def test_create_function_with_a_taken_name_is_409(platform: Platform) -> None:
    await platform.register("echo", core_wat())
    response = await platform.http.post("/functions", json={"name": "echo", "language": "wat", "source": "x"})
    assert response.status_code == 409
    assert "'echo'" in response.json()["detail"]


async def test_get_function_by_name_and_by_id(platform: Platform) -> None:
    function = await platform.register("some.Name-1_x", core_wat())
    for reference in (function["id"], function["id"].upper(), "some.Name-1_x"):
        assert (await platform.http.get(f"/functions/{reference}")).json()["id"] == function["id"]
    missing = await platform.http.get("/functions/unknown")
    assert (missing.status_code, missing.json()["detail"]) == (404, "no function has the id or name 'unknown'")


BAD_DRAFTS: list[tuple[dict[str, Any], str]] = [
    ({"name": "1echo"}, "name: '1echo' is not accepted; 1 to 64 of a-z"),
    ({"name": ""}, "name: '' is not accepted"),
    ({"name": "a" * 65}, "name:"),
    ({"name": "naïve"}, "name:"),
    ({"name": "echo\n"}, "name:"),
    ({"name": "abcdefab-0000-7000-8000-000000000000"}, "would be taken for an id"),
    ({"name": 5}, "name: Expected `str`, got `int`"),
    ({"name": None}, "name:"),
    ({"language": "cobol"}, f"language: 'cobol'; accepted is one of {', '.join(get_args(Language))}"),
    ({"source": ""}, "source: is empty"),
    ({"source": "a\0b"}, "source: contains NUL at character 1"),
    ({"description": "\0"}, "description: contains NUL"),
    ({"description": "x" * 10_001}, "description: longer than 10000"),
    ({"language": "wasm", "source": "no base64!"}, "source: not base64"),
    ({"sauce": "x"}, "sauce: is not a field of this request"),
]


@pytest.mark.parametrize(("change", "detail"), BAD_DRAFTS)
async def test_create_and_update_function_invalid_field_is_400_and_named(
    refusing: Platform, change: dict[str, Any], detail: str
) -> None:
    body = {"name": "another", "language": "wat", "source": core_wat("(i64.const 0)"), **change}
    for response in (
        await refusing.http.post("/functions", json=body),
        await refusing.http.put("/functions/other", json=body),
    ):
        assert response.status_code == 400
        assert detail in response.json()["detail"]


@pytest.mark.parametrize("missing", ["name", "language", "source"])
async def test_create_function_missing_field_is_400_and_named(refusing: Platform, missing: str) -> None:
    body = {"name": "another", "language": "wat", "source": core_wat()}
    del body[missing]
    response = await refusing.http.post("/functions", json=body)
    assert (response.status_code, response.json()["detail"]) == (400, f"{missing}: is required")


async def test_create_function_source_over_the_limit_is_413(platform: Platform) -> None:
    body = {"name": "big", "language": "wat", "source": ";" * ((1 << 20) + 1)}
    response = await platform.http.post("/functions", json=body)
    assert response.status_code == 413
    assert response.json()["detail"] == "source: 1048577 bytes; at most 1 MiB are accepted"
    body["source"] = ";;" + "x" * ((1 << 20) - 2)
    assert (await platform.http.post("/functions", json=body)).status_code == 201
    body |= {"name": "module", "language": "wasm", "source": "AAAA" * (3 << 20)}
    assert (await platform.http.post("/functions", json=body)).status_code == 413


async def test_list_functions_paginates_newest_first(platform: Platform) -> None:
    names = [f"f{number}" for number in range(5)]
    for name in names:
        await platform.register(name, core_wat())
    following: str | None = "/functions?limit=2"
    seen: list[str] = []
    pages = 0
    while following:
        response = await platform.http.get(following)
        assert all("source" not in function for function in response.json())
        seen += [function["name"] for function in response.json()]
        following = response.links.get("next", {}).get("url")
        pages += 1
    assert (seen, pages) == (names[::-1], 3)


async def test_list_functions_keeps_filters_across_pages(platform: Platform) -> None:
    for number in range(3):
        await platform.deploy(f"good{number}", core_wat())
    await platform.register("bad", "(module")
    await platform.settled("bad")
    response = await platform.http.get("/functions", params={"status": "READY", "language": "wat", "limit": "2"})
    assert [function["name"] for function in response.json()] == ["good2", "good1"]
    rest = await platform.http.get(response.links["next"]["url"])
    assert [function["name"] for function in rest.json()] == ["good0"]
    assert [f["name"] for f in (await platform.http.get("/functions?status=FAILED")).json()] == ["bad"]
    assert (await platform.http.get("/functions?language=wasm")).json() == []


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("limit=0", "limit: '0' is not a whole number from 1 to 200"),
        ("limit=201", "limit: '201'"),
        ("limit=x", "limit: 'x'"),
        ("cursor=x", "cursor: 'x' is not a cursor"),
        ("status=DONE", "status: 'DONE' is not one of PENDING, COMPILING, READY, FAILED"),
        ("language=c", f"language: 'c' is not one of {', '.join(get_args(Language))}"),
        ("state=READY", "state: is not a parameter of this list"),
    ],
)
async def test_list_functions_invalid_query_is_400_and_named(refusing: Platform, query: str, detail: str) -> None:
    response = await refusing.http.get(f"/functions?{query}")
    assert response.status_code == 400
    assert detail in response.json()["detail"]


async def test_update_function_with_another_source_starts_a_new_revision(platform: Platform) -> None:
    before = await platform.deploy("echo", core_wat())
    body = {"name": "echo", "language": "wat", "source": core_wat("(i64.const 0)")}
    response = await platform.http.put("/functions/echo", json=body)
    assert response.status_code == 200
    answer = response.json()
    assert (answer["status"], answer["revision"], answer["source"]) == ("READY", 1, core_wat())
    assert (answer["latest"]["status"], answer["latest"]["revision"]) == ("PENDING", 2)
    after = await platform.latest_settled("echo")
    assert (after["status"], after["revision"], after["latest"]["status"]) == ("READY", 2, "READY")
    assert (after["id"], after["source"]) == (before["id"], body["source"])


async def test_update_function_with_the_same_source_keeps_the_status(platform: Platform) -> None:
    await platform.deploy("echo", core_wat())
    body = {"name": "echo2", "language": "wat", "source": core_wat(), "description": "renamed"}
    response = await platform.http.put("/functions/echo", json=body)
    function = response.json()
    assert (function["status"], function["revision"]) == ("READY", 1)
    assert (function["name"], function["description"]) == ("echo2", "renamed")
    assert (await platform.http.get("/functions/echo")).status_code == 404
    assert (await platform.execute("echo2", {"a": 1}))["output"] == {"a": 1}


async def test_update_function_to_a_taken_name_is_409_and_changes_nothing(platform: Platform) -> None:
    await platform.deploy("one", core_wat())
    await platform.deploy("two", core_wat())
    body = {"name": "one", "language": "wat", "source": "(module)"}
    assert (await platform.http.put("/functions/two", json=body)).status_code == 409
    assert (await platform.http.get("/functions/two")).json()["revision"] == 1


async def test_delete_function_deletes_its_executions(platform: Platform) -> None:
    await platform.deploy("echo", core_wat())
    execution = await platform.execute("echo")
    response = await platform.http.delete("/functions/echo")
    assert (response.status_code, response.content) == (204, b"")
    for path in ("/functions/echo", f"/executions/{execution['id']}", "/functions/echo/executions"):
        assert (await platform.http.get(path)).status_code == 404
    assert (await platform.http.delete("/functions/echo")).status_code == 404


async def test_delete_function_leaves_the_rows_of_its_executions_to_retention(platform: Platform) -> None:
    """So that the answer does not depend on their number. A new function of that name does not have them."""
    function = await platform.deploy("echo", core_wat())
    for _ in range(3):
        await platform.execute("echo")
    await platform.http.delete("/functions/echo")
    rows = "SELECT count(*) FROM executions WHERE function_id = $1"
    assert await platform.pool.fetchval(rows, UUID(function["id"])) == 3
    await platform.deploy("echo", core_wat())
    assert (await platform.http.get("/functions/echo/executions")).json() == []
    kept = await platform.execute("echo")
    async with platform.pool.acquire() as connection:
        result = await run_once(connection, Policy(None, None), Pacer(0))
    assert result.deleted_of_functions in {0, 3}  # the server's own run may come first
    assert await platform.pool.fetchval(rows, UUID(function["id"])) == 0
    assert (await platform.http.get(f"/executions/{kept['id']}")).status_code == 200


async def test_create_function_from_a_module_in_base64(platform: Platform) -> None:
    await platform.deploy("module", base64.b64encode(wat(core_wat())).decode(), "wasm")
    assert (await platform.execute("module", {"a": 1}))["output"] == {"a": 1}


async def test_get_function_compile_error_has_line_and_column(platform: Platform) -> None:
    await platform.register("bad", '(module\n  (func (export "handle") (i32.cost 0)))')
    function = await platform.settled("bad")
    assert function["status"] == "FAILED"
    assert "function.wat:2:28" in function["compileError"]

"""Problems: every rejected request gets one with a request id; no request gets a 500."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.helpers.support import Platform, core_wat

PROBLEM = {"type", "title", "status", "detail", "instance", "requestId"}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/functions/unknown", 404),
        ("GET", "/functions/a/b/c/d", 404),
        ("GET", "/schema/nothing.js", 404),
        ("GET", "/schema/..%2f..%2fapplication.py", 404),
        ("PATCH", "/functions", 405),
        ("POST", "/health", 405),
        ("POST", "/functions", 400),
        ("GET", "/functions?limit=-1", 400),
    ],
)
async def test_problem_answers_every_rejected_request(refusing: Platform, method: str, path: str, status: int) -> None:
    response = await refusing.http.request(method, path)
    problem = response.json()
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert set(problem) == PROBLEM
    assert problem["status"] == status
    assert problem["requestId"] == response.headers["x-request-id"]
    assert problem["instance"] == path.partition("?")[0].replace("%2f", "/")


async def test_problem_method_not_allowed_has_the_allowed_methods(refusing: Platform) -> None:
    response = await refusing.http.put("/functions")
    assert response.status_code == 405
    assert {"GET", "POST"} <= set(response.headers["allow"].split(", "))


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
async def test_problem_wrong_content_type_is_400_and_named(refusing: Platform, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = await refusing.http.post("/functions", content=b"{}", headers=headers)
    assert response.status_code == 400
    assert response.json()["detail"].startswith("Content-Type: ")


async def test_content_type_may_have_a_charset(platform: Platform) -> None:
    await platform.deploy("echo", core_wat())
    headers = {"Content-Type": "Application/JSON; charset=UTF-8"}
    response = await platform.http.post("/functions/echo/execute", content=b'{"input":{}}', headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"a","language":"wat","source":"\\ud800"}',
        b'{"name":"a","language":"wat","source":"\xff"}',
        b'{"name":"a","language":"wat","source":"\\u0000"}',
        b'{"name":"a","language":"wat","source":"x","description":"\\u0000"}',
        b"[" * 1_000_000,
        b'{"a":' * 200_000,
        b'"' + b"\\" * 99_999,
        b"\xef\xbb\xbf{}",
        b"null",
        b"",
    ],
)
async def test_problem_invalid_body_is_400(refusing: Platform, body: bytes) -> None:
    for method, path in (("POST", "/functions"), ("PUT", "/functions/a")):
        response = await refusing.http.request(method, path, content=body, headers=JSON)
        assert response.status_code == 400, response.text


@hypothesis_settings(max_examples=60)
@given(body=st.binary(max_size=400), path=st.sampled_from(["/functions", "/functions/echo/execute"]))
async def test_problem_is_never_a_500_for_any_body(platform: Platform, body: bytes, path: str) -> None:
    if (await platform.http.get("/functions/echo")).status_code == 404:
        await platform.deploy("echo", core_wat())
    response = await platform.http.post(path, content=body, headers=JSON)
    assert response.status_code < 500


@hypothesis_settings(max_examples=60)
@given(reference=st.text(min_size=1, max_size=80))
async def test_problem_is_never_a_500_for_any_reference(refusing: Platform, reference: str) -> None:
    from urllib.parse import quote

    response = await refusing.http.get(f"/functions/{quote(reference, safe='', errors='replace')}")
    assert response.status_code in {400, 404, 200}

"""Functions as HTTP endpoints: each contract, what passes through, what is recorded, and how failures are answered."""

import base64
import json
from typing import Any

import pytest

from tests.helpers.support import LOOP_WAT, Platform, core_wat, returning_wat

LAMBDA_ECHO = """
export const handler = async (event) => ({
  statusCode: 202, headers: {"content-type": "application/json", "x-method": event.requestContext.http.method},
  cookies: ["a=1", "b=2"], body: JSON.stringify(event),
});
"""
PYTHON_LAMBDA = """
def lambda_handler(event, context):
    return {"statusCode": 200, "headers": {"Content-Type": "text/plain"}, "body": event["rawPath"]}
"""


async def deploy(platform: Platform, name: str, source: str, language: str = "wat", **settings: Any) -> None:
    await platform.register(name, source, language, settings=settings)
    function = await platform.settled(name, timeout=120)
    assert function["status"] == "READY", function["compileError"]


async def record_of(platform: Platform, response: Any) -> dict[str, Any]:
    found = await platform.http.get(f"/executions/{response.headers['faas-execution-id']}")
    assert found.status_code == 200
    record: dict[str, Any] = found.json()
    return record


async def test_json_function_gets_the_body_and_answers_json(endpoints: Platform) -> None:
    await deploy(endpoints, "echo", core_wat())
    response = await endpoints.http.post("/f/echo", content=b'{"a": [1, 2.50]}')
    assert (response.status_code, response.content) == (200, b'{"a": [1, 2.50]}')
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    assert (await endpoints.http.get("/f/echo/any/path?x=1")).content == b"{}"
    assert (await endpoints.http.put("/f/echo", content=b"[1]")).content == b"[1]"
    refused = await endpoints.http.post("/f/echo", content=b"{oops")
    assert refused.status_code == 400
    assert refused.json()["type"] == "urn:faas:problem:request-refused"
    assert "the body is not JSON" in refused.json()["detail"]
    assert (await record_of(endpoints, refused))["status"] == "FAILED"


async def test_lambda_handler_gets_an_event_of_api_gateway(endpoints: Platform) -> None:
    await deploy(endpoints, "handler", LAMBDA_ECHO, "javascript")
    response = await endpoints.http.patch(
        "/f/handler/a%20b/%2Fc?x=1&x=2", content=b"text", headers={"content-type": "text/plain", "cookie": "s=1"}
    )
    assert response.status_code == 202
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers["x-method"] == "PATCH"
    event = response.json()
    assert (event["rawPath"], event["rawQueryString"]) == ("/a%20b/%2Fc", "x=1&x=2")
    assert (event["body"], event["isBase64Encoded"], event["cookies"]) == ("text", False, ["s=1"])
    assert event["requestContext"]["requestId"] == response.headers["faas-execution-id"]
    assert event["headers"]["x-forwarded-prefix"] == "/f/handler"


async def test_lambda_handler_in_python(endpoints: Platform) -> None:
    await deploy(endpoints, "pylambda", PYTHON_LAMBDA, "python")
    response = await endpoints.http.get("/f/pylambda/items/7")
    assert (response.status_code, response.text, response.headers["content-type"]) == (200, "/items/7", "text/plain")


async def test_record_has_the_request_and_the_response_without_credentials(endpoints: Platform) -> None:
    await deploy(endpoints, "recorded", LAMBDA_ECHO, "javascript")
    headers = {"authorization": "Basic dXNlcjpwdw==", "cookie": "session=hidden", "content-type": "image/png"}
    response = await endpoints.http.post("/f/recorded/up?q=1", content=b"\x89PNG\0", headers=headers)
    record = await record_of(endpoints, response)
    assert record["status"] == "COMPLETED"
    assert (record["input"]["method"], record["input"]["path"], record["input"]["query"]) == ("POST", "/up", "q=1")
    assert base64.b64decode(record["input"]["bodyBase64"]) == b"\x89PNG\0"
    recorded = dict(record["input"]["headers"])
    assert (recorded["authorization"], recorded["cookie"]) == ("[redacted]", "[redacted]")
    assert record["output"]["status"] == 202
    assert [value for name, value in record["output"]["headers"] if name == "set-cookie"] == ["[redacted]"] * 2
    assert json.loads(record["output"]["body"]) == response.json()
    stored = await endpoints.pool.fetchval(
        "SELECT input::text || output::text FROM executions WHERE id = $1::text::uuid", record["id"]
    )
    assert "hidden" not in stored.partition('"status"')[0]


@pytest.mark.parametrize(
    ("source", "settings", "status", "kind"),
    [
        (core_wat("unreachable"), {}, 500, "function-failed"),
        (returning_wat("no JSON"), {}, 500, "function-failed"),
        (LOOP_WAT, {"limits": {"time": 0.1}}, 504, "function-timed-out"),
    ],
    ids=["trap", "output", "time"],
)
async def test_failed_execution_is_a_problem_without_the_functions_message(
    endpoints: Platform, source: str, settings: dict[str, Any], status: int, kind: str
) -> None:
    name = f"failing-{kind}-{len(source)}"
    await deploy(endpoints, name, source, **settings)
    response = await endpoints.http.get(f"/f/{name}")
    assert response.status_code == status
    problem = response.json()
    assert problem["type"] == f"urn:faas:problem:{kind}"
    assert problem["executionId"] == response.headers["faas-execution-id"]
    record = await record_of(endpoints, response)
    assert record["status"] == "FAILED"
    assert record["errorMessage"] not in response.text


async def test_endpoint_of_a_function_that_is_not_ready(endpoints: Platform) -> None:
    await endpoints.register("uncompiled", "(module oops)")
    await endpoints.settled("uncompiled")
    response = await endpoints.http.get("/f/uncompiled")
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert "oops" not in response.text


@pytest.mark.parametrize("path", ["/f/unknown", "/f/unknown/x", "/f/1st", "/f/", "/f", "/f/%2e%2e/health", "/f/a%00"])
async def test_endpoint_that_is_not_there_is_404(endpoints: Platform, path: str) -> None:
    response = await endpoints.http.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


async def test_endpoint_of_a_revision(endpoints: Platform) -> None:
    await deploy(endpoints, "versions", returning_wat("1"))
    await endpoints.put("versions", returning_wat("2"))
    await endpoints.latest_settled("versions")
    assert (await endpoints.http.get("/f/versions")).text == "2"
    assert (await endpoints.http.get("/f/versions@1/path")).text == "1"
    assert (await endpoints.http.get("/f/versions%401")).text == "1"
    assert (await endpoints.http.get("/f/versions@9")).status_code == 404


async def test_endpoint_body_above_the_input_limit_is_413(endpoints: Platform) -> None:
    await deploy(endpoints, "limited", core_wat())
    assert (await endpoints.http.post("/f/limited", content=b" " * ((6 << 20) + 1))).status_code == 413


async def test_endpoint_honours_the_limits_of_the_function(endpoints: Platform) -> None:
    await deploy(endpoints, "rated", core_wat(), limits={"perSecond": 0.001})
    assert (await endpoints.http.get("/f/rated")).status_code == 200
    refused = await endpoints.http.get("/f/rated")
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:faas:problem:function-limit-reached")
    assert int(refused.headers["retry-after"]) > 1

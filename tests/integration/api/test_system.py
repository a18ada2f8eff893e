"""Health, metrics and the API's description."""

from pathlib import Path

import httpx
import msgspec
import pytest
from openapi_spec_validator import validate

from faas.api.application import HANDLERS
from faas.api.middleware import execute
from faas.api.openapi import openapi_description
from faas.api.routes.system import PAGES
from faas.bootstrap import open_service
from faas.settings import Settings
from tests.helpers.support import Platform, core_wat, eventually


async def test_health_says_up_with_its_parts(platform: Platform) -> None:
    response = await platform.http.get("/health")
    health = response.json()
    assert response.status_code == 200
    assert (health["status"], health["database"]) == ("UP", "UP")
    assert health["consumers"]["compilation_results"] == "UP"
    assert set(health["toolchains"]) == {"compiler", "wasm"}
    assert health["toolchains"]["compiler"] == "OFF"
    assert health["toolchains"]["wasm"] in {"UP", "WARMING"}


async def test_health_says_that_modules_cannot_be_translated(settings: Settings) -> None:
    """Nothing would become READY, and nothing that is not in memory would run."""
    starved = msgspec.structs.replace(settings, compile_memory=1 << 20)
    async with open_service(starved) as service:
        transport = httpx.ASGITransport(service.application)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://faas") as http:
            response = await eventually(lambda: http.get("/health"), lambda found: found.status_code == 503)
    assert response.json()["status"] == "DOWN"
    assert response.json()["toolchains"]["wasm"].startswith("DOWN: translating the module did not start: exit code")
    assert response.json()["database"] == "UP"


async def test_metrics_are_prometheus_text(platform: Platform) -> None:
    await platform.deploy("echo", core_wat())
    await platform.execute("echo")
    response = await platform.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'faas_executions_seconds_count{status="COMPLETED"}' in response.text
    assert 'faas_queue_messages{queue="compilation_jobs"} 0.0' in response.text


async def test_the_description_is_openapi_3_1(platform: Platform) -> None:
    for path in ("/schema", "/schema/openapi.json"):
        described = (await platform.http.get(path)).json()
        assert described["openapi"] == "3.1.0"
        validate(described)


def test_every_route_is_described_and_every_description_has_its_route() -> None:
    def shape(path: str) -> str:
        return path.replace("{reference:str}", "{id}").replace("{execution_id:str}", "{id}")

    routed = {
        (shape(path), method.lower())
        for handler in HANDLERS
        for path in handler.paths
        for method in handler.http_methods
        if not path.startswith("/schema/")
    }
    routed.add((execute.PATH, "post"))
    described = {
        (path, method)
        for path, item in openapi_description()["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert routed == described


async def test_the_page_needs_nothing_from_elsewhere(platform: Platform) -> None:
    response = await platform.http.get("/schema", headers={"Accept": "text/html"})
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in response.headers["content-security-policy"]
    assert "http" not in (PAGES / "index.html").read_text().replace("http-equiv", "")
    for part in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "page.js"):
        asset = await platform.http.get(f"/schema/{part}")
        assert asset.status_code == 200
        assert asset.content
    assert (await platform.http.get("/schema/package.json")).status_code == 404
    assert Path(PAGES / "package.json").exists()


@pytest.mark.parametrize("path", ["/functions", "/functions/echo", "/functions/echo/executions", "/health", "/schema"])
async def test_head_is_answered_as_get(platform: Platform, path: str) -> None:
    """The HTTP server leaves the body out: tests/e2e/test_serving.py."""
    await platform.deploy("echo", core_wat())
    got, head = await platform.http.get(path), await platform.http.head(path)
    assert head.status_code == 200
    assert head.headers["content-type"] == got.headers["content-type"]
    assert head.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/functions", "GET, HEAD, OPTIONS, POST"),
        ("/functions/echo", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("/functions/echo/execute", "OPTIONS, POST"),
        ("/health", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_names_what_a_path_allows(platform: Platform, path: str, allowed: str) -> None:
    answer = await platform.http.options(path)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allowed, b"")
    refused = await platform.http.request("PATCH", path)
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert (await platform.http.options("/nothing")).status_code == 404

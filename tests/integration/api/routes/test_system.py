"""Health, metrics and the API's description."""

import re
from pathlib import Path

import httpx
import msgspec
from openapi_spec_validator import validate

from faas.api.application import HANDLERS
from faas.api.middleware import execute
from faas.api.openapi import openapi_description
from faas.api.routes.system import PAGES
from faas.bootstrap import open_service
from faas.settings import Settings
from tests.helpers.support import Platform, core_wat, eventually


async def test_health_is_up_with_every_component(platform: Platform) -> None:
    response = await platform.http.get("/health")
    health = response.json()
    assert response.status_code == 200
    assert (health["status"], health["database"]) == ("UP", "UP")
    assert health["consumers"]["compilation_results"] == "UP"
    assert set(health["toolchains"]) == {"compiler", "wasm"}
    assert health["toolchains"]["compiler"] == "OFF"
    assert health["toolchains"]["wasm"] in {"UP", "WARMING"}


async def test_health_is_down_if_modules_cannot_be_precompiled(settings: Settings) -> None:
    """No function would become READY, and only cached modules would run."""
    starved = msgspec.structs.replace(settings, compile_memory=1 << 20)
    async with open_service(starved) as service:
        transport = httpx.ASGITransport(service.application)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            response = await eventually(lambda: http.get("/health"), lambda found: found.status_code == 503)
    assert response.json()["status"] == "DOWN"
    assert response.json()["toolchains"]["wasm"].startswith("DOWN: precompiler did not start: exit code")
    assert response.json()["database"] == "UP"


async def test_metrics_are_in_prometheus_text_format(platform: Platform) -> None:
    await platform.deploy("echo", core_wat())
    await platform.execute("echo")
    response = await platform.http.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'faas_executions_seconds_count{status="COMPLETED"}' in response.text
    assert 'faas_queue_messages{queue="compilation_jobs"} 0.0' in response.text


async def test_openapi_description_is_valid_openapi_3_1(platform: Platform) -> None:
    for path in ("/schema", "/schema/openapi.json"):
        described = (await platform.http.get(path)).json()
        assert described["openapi"] == "3.1.0"
        validate(described)


def test_openapi_description_has_exactly_the_routes() -> None:
    def shape(path: str) -> str:
        return re.sub(r"\{(reference|execution_id|token_id):str\}", "{id}", path).replace(":str}", "}")

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


async def test_api_page_loads_nothing_from_other_servers(platform: Platform) -> None:
    response = await platform.http.get("/schema", headers={"Accept": "text/html"})
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in response.headers["content-security-policy"]
    assert "http" not in (PAGES / "index.html").read_text().replace("http-equiv", "")
    for part in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "page.js"):
        asset = await platform.http.get(f"/schema/{part}")
        assert asset.status_code == 200
        assert asset.content
    assert (await platform.http.get("/schema/package.json")).status_code == 404
    assert Path(PAGES / "package.json").exists()

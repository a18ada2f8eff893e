"""Routes of the service itself: health, metrics, the API's description and its page."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import prometheus_client
from litestar import Request, Response, get, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from faas.api.openapi import document
from faas.api.responses import json_response
from faas.api.schemas import Health
from faas.errors import NotFound

PAGES = Path(__file__).parents[1] / "pages"
_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_PAGE_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"

HealthCheck = Callable[[], Awaitable[Health]]
MetricsUpdate = Callable[[], Awaitable[None]]


@get("/health")
async def health(check_health: NamedDependency[HealthCheck]) -> Response[bytes]:
    """Whether the service can do its work, part by part."""
    found = await check_health()
    return json_response(found, status=200 if found.status == "UP" else 503)


@get("/metrics")
async def metrics(update_metrics: NamedDependency[MetricsUpdate]) -> Response[bytes]:
    """Prometheus' text format."""
    await update_metrics()
    return Response(prometheus_client.generate_latest(), media_type="text/plain; version=0.0.4; charset=utf-8")


@get("/schema")
async def schema(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The API's description: the browsable page for browsers, OpenAPI 3.1 as JSON for everyone else."""
    if "text/html" not in request.headers.get("accept", ""):
        return _openapi()
    page = (PAGES / "index.html").read_bytes()
    return Response(page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _PAGE_POLICY})


@get("/schema/openapi.json")
async def openapi() -> Response[bytes]:
    """OpenAPI 3.1 as JSON."""
    return _openapi()


@get("/schema/{asset:str}")
async def asset(asset: FromPath[str]) -> Response[bytes]:
    """The page's scripts and styles, from this server: it needs no internet."""
    if asset == "page.js":
        return Response((PAGES / asset).read_bytes(), media_type="text/javascript")
    if asset not in _ASSETS:
        raise NotFound(f"there is nothing at '/schema/{asset}'")
    content = (PAGES / "node_modules" / "swagger-ui-dist" / asset).read_bytes()
    return Response(content, media_type=_ASSETS[asset], headers={"Cache-Control": "max-age=86400"})


@route(["/", "/{path:path}"], http_method=["GET", "POST", "PUT", "PATCH", "DELETE"])
async def elsewhere(request: Request[Any, Any, Any]) -> Response[None]:
    """Everything else, in a process that only compiles: say so, to whoever has the wrong port."""
    path = request.scope["path"]
    raise NotFound(f"there is nothing at {path!r}: this process has the role compiler and serves /health and /metrics")


def _openapi() -> Response[bytes]:
    return Response(msgspec.json.encode(document()), media_type="application/json")

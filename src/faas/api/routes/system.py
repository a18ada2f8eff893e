"""Routes of the service itself: health, metrics, the OpenAPI description and its page."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from faas.api.access import caller_of
from faas.api.openapi import openapi_description
from faas.api.responses import json_response
from faas.api.route_table import needs
from faas.api.schemas import Health, HealthStatus
from faas.caller import Caller
from faas.errors import NotFound

PAGES = Path(__file__).parents[1] / "pages"
_ASSET_TYPES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_PAGE_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"

HealthCheck = Callable[[], Awaitable[Health]]
MetricsUpdate = Callable[[], Awaitable[None]]
MetricsText = Callable[[Caller], Awaitable[bytes]]


@get("/health", opt=needs())
async def get_health(request: Request[Any, Any, Any], check_health: NamedDependency[HealthCheck]) -> Response[bytes]:
    """Report the health of each component, or the status alone without the scope read; 503 if a needed one is down."""
    health = await check_health()
    shown = health if caller_of(request).has("read") else HealthStatus(status=health.status)
    return json_response(shown, status=200 if health.status == "UP" else 503)


@get("/metrics", opt=needs("read"))
async def get_metrics(
    request: Request[Any, Any, Any],
    update_metrics: NamedDependency[MetricsUpdate],
    metrics_text: NamedDependency[MetricsText],
) -> Response[bytes]:
    """Return the metrics in Prometheus' text format, those of functions as far as the caller reaches them."""
    await update_metrics()
    text = await metrics_text(caller_of(request))
    return Response(text, media_type="text/plain; version=0.0.4")  # litestar adds the charset


@get("/schema", opt=needs("read"))
async def get_api_page(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the API's description: as a page to clients that accept text/html, as OpenAPI 3.1 to the others."""
    if "text/html" not in request.headers.get("accept", ""):
        return _openapi_response()
    page = (PAGES / "index.html").read_bytes()
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": _PAGE_POLICY})


@get("/schema/openapi.json", opt=needs("read"))
async def get_openapi() -> Response[bytes]:
    """Return the API's description as OpenAPI 3.1."""
    return _openapi_response()


@get("/schema/{asset:str}", opt=needs("read"))
async def get_asset(asset: FromPath[str]) -> Response[bytes]:
    """Return a script or style of the page, which loads nothing from other servers."""
    if asset == "page.js":
        return Response((PAGES / asset).read_bytes(), media_type="text/javascript")
    if asset not in _ASSET_TYPES:
        raise NotFound(f"there is nothing at '/schema/{asset}'")
    content = (PAGES / "node_modules" / "swagger-ui-dist" / asset).read_bytes()
    return Response(content, media_type=_ASSET_TYPES[asset], headers={"Cache-Control": "max-age=86400"})


@route(
    ["/", "/{path:path}"],
    http_method=["GET", "POST", "PUT", "PATCH", "DELETE"],
    opt=needs("read", "invoke", "deploy"),
)
async def reject_other_role(request: Request[Any, Any, Any]) -> Response[None]:
    """Answer 404 to every other path in a process of the role compiler, and name the role of this process."""
    path = request.scope["path"]
    raise NotFound(f"there is nothing at {path!r}: this process has the role compiler and serves /health and /metrics")


def _openapi_response() -> Response[bytes]:
    return Response(msgspec.json.encode(openapi_description()), media_type="application/json")

"""The route table: the same paths as litestar's router, and the methods of every route."""

from collections.abc import Sequence
from urllib.parse import quote

import httpx
import pytest
from litestar.handlers import HTTPRouteHandler

from faas.api.application import COMPILER_HANDLERS, HANDLERS, _create_litestar
from faas.api.middleware import execute
from faas.api.route_table import RouteTable, routes_of

PATHS = [
    "/", "//", "/functions", "/functions/", "//functions", "/functions/echo", "/functions//echo/", "/functions/a b",
    "/functions/a\nb", "/functions/é", "/functions/echo/execute", "/functions/echo/executions", "/functions/a/b/c",
    "/functions/echo/revisions", "/functions/echo/revisions/1", "/functions/echo/revisions/1/2", "/functions/echo@2",
    "/functions/echo/promote", "/functions/echo/rollback",
    "/executions", "/executions/1", "/tokens", "/tokens/a", "/tokens/a/b", "/audit", "/audit/1", "/health", "/health/x", "/metrics", "/schema", "/schema/openapi.json",
    "/schema/page.js", "/schema/a/b", "/nothing", "/function", "/functions.",
]  # fmt: skip


@pytest.mark.parametrize("handlers", [HANDLERS, COMPILER_HANDLERS], ids=["all", "compiler"])
async def test_route_table_has_the_paths_and_methods_of_the_router(handlers: Sequence[HTTPRouteHandler]) -> None:
    """litestar answers 404 to unknown paths and 405, with its own Allow, to a method that no route has."""
    table = RouteTable(routes_of(handlers))
    services = dict.fromkeys(
        [
            "functions",
            "revisions",
            "executions",
            "tokens",
            "secrets",
            "audit",
            "check_health",
            "update_metrics",
            "metrics_text",
        ]
    )  # no handler is called
    application = _create_litestar(handlers, services, 0)
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        for path in PATHS:
            response = await http.request("TRACE", f"http://localhost{quote(path)}")
            allowed = table.allowed_methods(path)
            assert (response.status_code == 404) == (allowed is None), path
            if allowed is not None:
                routed = {name.strip() for name in response.headers["allow"].split(",")}
                assert set(allowed) - {"HEAD", "OPTIONS"} == routed - {"OPTIONS"}, path


def test_route_table_execute_accepts_exactly_its_path() -> None:
    table = RouteTable([execute.ROUTE, *routes_of(HANDLERS)])
    assert table.allowed_methods("/functions/echo/execute") == ("OPTIONS", "POST")
    for path in ("/functions/echo/execute/", "/functions/a/b/execute", "/functions/execute/x", "//functions/a/execute"):
        assert table.allowed_methods(path) is None, path


def test_route_table_adds_head_only_where_there_is_get() -> None:
    table = RouteTable(routes_of(HANDLERS))
    assert table.allowed_methods("/functions/echo") == ("DELETE", "GET", "HEAD", "OPTIONS", "PUT")
    assert table.allowed_methods("/functions") == ("GET", "HEAD", "OPTIONS", "POST")

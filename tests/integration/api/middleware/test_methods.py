"""MethodsMiddleware: HEAD, OPTIONS and 405 over the API's routes."""

import pytest

from tests.helpers.support import Platform, core_wat


@pytest.mark.parametrize("path", ["/functions", "/functions/echo", "/functions/echo/executions", "/health", "/schema"])
async def test_methods_head_is_answered_as_get(platform: Platform, path: str) -> None:
    """The HTTP server leaves out the body: tests/e2e/test_serving.py."""
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
async def test_methods_options_and_405_have_the_allowed_methods(platform: Platform, path: str, allowed: str) -> None:
    answer = await platform.http.options(path)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allowed, b"")
    refused = await platform.http.request("PATCH", path)
    assert (refused.status_code, refused.headers["allow"]) == (405, allowed)
    assert (await platform.http.options("/nothing")).status_code == 404

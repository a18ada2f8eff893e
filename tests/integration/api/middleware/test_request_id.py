"""RequestIdMiddleware: the client's id or a new one on every response."""

from tests.helpers.support import Platform


async def test_request_id_is_kept_if_valid_and_replaced_if_not(platform: Platform) -> None:
    kept = await platform.http.get("/health", headers={"X-Request-Id": "my-request:1"})
    assert kept.headers["x-request-id"] == "my-request:1"
    for bad in ("x" * 129, "a b", "<script>"):
        replaced = await platform.http.get("/health", headers={"X-Request-Id": bad})
        assert len(replaced.headers["x-request-id"]) == 36

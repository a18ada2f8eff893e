"""Requests of web pages: foreign origins may change and run nothing, and listed ones get the headers of CORS."""

import httpx
import msgspec
import pytest

from faas.settings import Settings
from tests.helpers.connections import Connection, Port

APP = "https://app.example"
EXECUTE = "POST /functions/echo/execute"
UNSAFE = (EXECUTE, "POST /functions", "PUT /functions/echo", "DELETE /functions/nothing", "PATCH /functions/echo",
          "POST /functions/echo/rollback", "PROPFIND /functions")  # fmt: skip
EXPOSED = "Location, Link, Retry-After, X-Request-Id, RateLimit, RateLimit-Policy"


def sent(line: str, *headers: str, host: str = "localhost:8080") -> bytes:
    """Return a request with an empty body, which needs no Content-Type: a form of a page can send it."""
    return "\r\n".join([f"{line} HTTP/1.1", f"host: {host}", *headers, "content-length: 0", "", ""]).encode()


@pytest.fixture
def port_settings(port_settings: Settings, request: pytest.FixtureRequest) -> Settings:
    return msgspec.structs.replace(port_settings, cors_origins=getattr(request, "param", ()))


listing_app = pytest.mark.parametrize("port_settings", [(APP,)], indirect=True, ids=["listed"])


@pytest.mark.parametrize("line", UNSAFE)
async def test_foreign_origin_may_send_nothing_unsafe(port: Port, connection: Connection, line: str) -> None:
    for headers, shown in (
        (("origin: https://evil.example",), "Origin: 'https://evil.example'"),
        (("origin: null",), "Origin: 'null'"),
        (("origin: null", "sec-fetch-site: same-origin"), "Origin: 'null'"),
        (("origin:",), "Origin: ''"),
        (("origin: http://localhost",), "Origin: 'http://localhost'"),  # another port
        (("origin: https://localhost:8080",), "Origin: 'https://localhost:8080'"),  # another scheme
        (("origin: http://localhost:8080", "origin: https://evil.example"), "Origin: 'http://localhost:8080, https"),
        (("origin: http://localhost:8080 https://evil.example",), "Origin: 'http://localhost:8080 https"),
        (("origin: http://localhost:8080.evil.example",), "Origin: 'http://localhost:8080.evil"),
        (("origin: https://evil.example", "sec-fetch-site: none"), "Origin: 'https://evil.example'"),
        (("origin: http://localhost:9", "sec-fetch-site: same-site"), "Origin: 'http://localhost:9'"),
        (("sec-fetch-site: cross-site",), "Sec-Fetch-Site: 'cross-site'"),
        (("sec-fetch-site: same-site",), "Sec-Fetch-Site: 'same-site'"),
        (("sec-fetch-site: same-origin", "sec-fetch-site: cross-site"), "Sec-Fetch-Site: 'cross-site'"),
    ):
        connection.send(sent(line, *headers))
        status, head, body = await connection.answer()
        assert (status, body["type"]) == (403, "urn:faas:problem:cross-origin-request"), headers
        assert body["detail"].startswith(shown)
        assert f"may not send {line.split(maxsplit=1)[0]}; --cors-origins (FAAS_CORS_ORIGINS)" in body["detail"]
        assert not any(name.startswith("access-control") or name == "vary" for name in head)


async def test_foreign_origin_runs_nothing(port: Port, connection: Connection, pool: object) -> None:
    connection.send(sent(EXECUTE, "origin: https://evil.example") + sent(EXECUTE, "sec-fetch-site: cross-site"))
    assert [(await connection.answer())[0] for _ in range(2)] == [403, 403]
    assert await pool.fetchval("SELECT count(*) FROM executions") == 0  # type: ignore[attr-defined]


async def test_own_pages_and_programs_may_send_everything(port: Port, connection: Connection) -> None:
    for headers, host in (
        ((), "localhost:8080"),
        (("origin: http://localhost:8080",), "localhost:8080"),
        (("origin: http://localhost:8080", "sec-fetch-site: same-origin"), "LOCALHOST:8080"),
        (("origin: http://127.0.0.1",), "127.0.0.1:80"),
        (("origin: http://[::1]:8080",), "[::1]:8080"),
        (("origin: http://[::1]",), "[::1]"),
        (("sec-fetch-site: same-origin",), "localhost"),
        (("sec-fetch-site: none",), "localhost"),
        # A proxy ends TLS: the browser says what the server cannot see.
        (("origin: https://localhost", "sec-fetch-site: same-origin"), "localhost"),
    ):
        connection.send(sent(EXECUTE, *headers, host=host))
        status, _, body = await connection.answer()
        assert (status, body.get("output")) == (200, {}), (headers, body)


async def test_own_page_over_tls_has_the_scheme_https(tls_port: Port) -> None:
    connection = await tls_port.connect()
    for origin, expected in (("https://localhost", 200), ("http://localhost", 403)):
        connection.send(sent(EXECUTE, f"origin: {origin}", host="localhost"))
        assert (await connection.answer())[0] == expected
    connection.transport.abort()


async def test_foreign_origin_reads_without_cors(connection: Connection) -> None:
    """The browser then keeps the answer from the page."""
    for line, expected in (("GET /health", 200), ("OPTIONS /functions", 204)):
        connection.send(sent(line, "origin: https://evil.example", "access-control-request-method: POST"))
        status, head, _ = await connection.answer()
        assert status == expected
        assert not any(name.startswith("access-control") or name == "vary" for name in head)


@listing_app
async def test_listed_origin_may_send_everything_and_read_the_answers(port: Port, connection: Connection) -> None:
    for line, expected in (
        (EXECUTE, 200),
        ("POST /functions/nothing/execute", 404),
        ("POST /functions", 400),
        ("GET /health", 200),
        ("PROPFIND /functions", 405),
    ):
        for extra in ((), ("sec-fetch-site: cross-site",)):
            connection.send(sent(line, f"origin: {APP}", *extra))
            status, head, _ = await connection.answer()
            assert status == expected
            assert head["access-control-allow-origin"] == APP
            assert head["access-control-expose-headers"] == EXPOSED
            assert head["vary"] == "Origin"
            assert "access-control-allow-credentials" not in head


@listing_app
async def test_listed_origin_gets_a_preflight_answer(port: Port, connection: Connection) -> None:
    for target in ("/functions", "/functions/echo/execute", "/nowhere"):
        connection.send(
            sent(f"OPTIONS {target}", f"origin: {APP}", "access-control-request-method: PUT",
                 "access-control-request-headers: authorization,content-type")
        )  # fmt: skip
        status, head, _ = await connection.answer()
        assert status == 204
        assert head["access-control-allow-origin"] == APP
        assert head["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
        assert head["access-control-allow-headers"] == "Authorization, Content-Type, X-Request-Id"
        assert head["access-control-max-age"] == "3600"
        assert head["vary"] == "Origin"


@listing_app
async def test_origin_that_is_not_listed_is_refused_beside_one_that_is(port: Port, connection: Connection) -> None:
    for origin in ("https://evil.example", "http://app.example", f"{APP}:8443", f"{APP}.evil.example", "null"):
        connection.send(sent(EXECUTE, f"origin: {origin}"))
        status, head, _ = await connection.answer()
        assert (status, head["vary"]) == (403, "Origin")
        assert "access-control-allow-origin" not in head
        connection.send(sent("OPTIONS /functions", f"origin: {origin}", "access-control-request-method: POST"))
        status, head, _ = await connection.answer()
        assert (status, head["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
        assert "access-control-allow-origin" not in head


@listing_app
async def test_answers_vary_by_origin_where_some_are_listed(port: Port) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port.number}", trust_env=False) as http:
        assert (await http.get("/functions")).headers["vary"] == "Origin"


async def test_page_of_the_api_works_in_its_own_origin(port: Port) -> None:
    """What a browser sends for /schema and for a request that its page tries."""
    origin = f"http://127.0.0.1:{port.number}"
    async with httpx.AsyncClient(base_url=origin, trust_env=False, headers={"sec-fetch-site": "none"}) as http:
        assert "text/html" in (await http.get("/schema", headers={"accept": "text/html"})).headers["content-type"]
        own = {"origin": origin, "sec-fetch-site": "same-origin"}
        answered = await http.post("/functions/echo/execute", json={"input": {"a": 1}}, headers=own)
        assert answered.json()["output"] == {"a": 1}

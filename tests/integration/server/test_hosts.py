"""The `Host` header on a loopback server, on the fast path and through ASGI: what a page after DNS rebinding gets."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from faas.bootstrap import open_service
from faas.settings import Settings
from tests.helpers.connections import Connection, Port
from tests.helpers.ports import serving_port, settings_of_a_port

EXECUTE = ("POST /functions/echo/execute", "content-type: application/json", "content-length: 2")
REQUESTS = {
    "fast path": (*EXECUTE, ""),
    "execute, through ASGI": ("POST /functions/echo/execute?", *EXECUTE[1:], ""),
    "a route": ("GET /functions", ""),
    "no path": ("GET /nowhere", ""),
    "a method": ("PATCH /health", ""),
    "options": ("OPTIONS /functions", ""),
}


def sent(name: str, *hosts: str, version: str = "1.1") -> bytes:
    line, *headers = REQUESTS[name]
    body = "{}" if "execute" in line else ""
    return "\r\n".join([f"{line} HTTP/{version}", *(f"host: {host}" for host in hosts), *headers, body]).encode()


@pytest.fixture(scope="module")
async def port(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Port]:
    settings = settings_of_a_port(module_database_url, tmp_path_factory.mktemp("hosts"))
    async with serving_port(msgspec.structs.replace(settings, allowed_hosts=("faas.example.com",))) as found:
        yield found


@pytest.mark.parametrize("name", REQUESTS)
async def test_host_of_another_server_is_misdirected(connection: Connection, name: str) -> None:
    for host in ("evil.example", "evil.example:8080", "127.0.0.1.evil.example", "0.0.0.0:8080", "10.0.0.1", ""):
        connection.send(sent(name, host))
        status, head, body = await connection.answer()
        assert (status, body["type"]) == (421, "urn:faas:problem:misdirected-request")
        assert body["detail"] == (
            f"Host: {host!r} is not a host of this server; accepted are localhost, loopback addresses, "
            "and those of --allowed-hosts (FAAS_ALLOWED_HOSTS)"
        )
        assert head["x-request-id"] == body["requestId"]


async def test_host_that_is_accepted_takes_the_fast_path(port: Port, connection: Connection) -> None:
    port.application_paths.clear()
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "faas.example.com:443"):
        connection.send(sent("fast path", host))
        assert (await connection.answer())[0] == 200
    assert port.application_paths == []


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize(
    ("hosts", "detail"),
    [
        ((), "Host: missing; accepted is one (RFC 9112, section 3.2)"),
        (("localhost", "localhost"), "Host: 2 headers; accepted is one (RFC 9112, section 3.2)"),
        (("localhost", "evil.example"), "Host: 2 headers; accepted is one (RFC 9112, section 3.2)"),
        (("localhost, evil.example",), "Host: 'localhost, evil.example' is not valid; accepted is host:port"),
        (("evil@localhost",), "Host: 'evil@localhost' is not valid; accepted is host:port"),
    ],
)
async def test_host_missing_twice_or_invalid_is_an_invalid_request(
    connection: Connection, name: str, hosts: tuple[str, ...], detail: str
) -> None:
    connection.send(sent(name, *hosts))
    status, _, body = await connection.answer()
    assert (status, body["type"], body["detail"]) == (400, "urn:faas:problem:invalid-request", detail)


async def test_host_may_be_missing_in_http_1_0_only(port: Port) -> None:
    for hosts, expected in (((), 200), (("localhost",), 200), (("evil.example",), 421)):
        connection = await port.connect()
        connection.send(sent("fast path", *hosts, version="1.0"))
        assert (await connection.answer())[0] == expected
        await connection.close()


async def test_host_rejection_comes_in_the_order_of_pipelined_requests(connection: Connection) -> None:
    names = ["fast path", "a route", "fast path", "fast path"]
    hosts = ["localhost", "evil.example", "evil.example", "localhost"]
    connection.send(b"".join(sent(name, host) for name, host in zip(names, hosts, strict=True)))
    assert [(await connection.answer())[0] for _ in names] == [200, 421, 421, 200]


async def test_service_on_an_address_of_the_network_accepts_every_host(settings: Settings) -> None:
    """Also with the role compiler, whose only paths are /health and /metrics."""
    for bound, host, expected in (
        ("10.0.0.5", "faas.example.com", 200),
        ("10.0.0.5", "a b", 400),
        ("127.0.0.1", "faas.example.com", 421),
    ):
        for role in ("api", "compiler"):
            changed = msgspec.structs.replace(settings, role=role)
            async with open_service(changed, bound_address=bound) as service:
                assert await _status(service.application, host) == expected


async def _status(application: object, host: str) -> int:
    scope = {
        "type": "http", "method": "GET", "path": "/metrics", "raw_path": b"/metrics", "query_string": b"",
        "http_version": "1.1", "scheme": "http", "headers": [(b"host", host.encode())], "client": None,
        "server": None, "root_path": "", "state": {}, "asgi": {"version": "3.0"},
    }  # fmt: skip
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(int(str(message["status"])))

    await application(scope, receive, send)  # type: ignore[operator]
    return statuses[0]

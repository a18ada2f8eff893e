"""Attacks on access: a server that asks for tokens, on a real port, and clients that try to get around them.

Functions: `orders-1`, which the tokens of `orders-*` reach, and `billing`, of which they may not learn that it exists.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import msgspec
import pytest
import structlog

from faas.access.service import TokenService
from faas.api.openapi import openapi_description
from faas.api.openapi_access import OPERATION_SCOPES
from faas.bootstrap import open_service
from faas.caller import OPERATOR
from faas.database.pool import Pool, open_pool
from faas.server.server import HttpServer
from faas.server.shutdown import GracefulShutdown
from faas.settings import Settings
from tests.helpers.access import bearer, make_token
from tests.helpers.connections import Connection, Port, small_buffer_socket
from tests.helpers.support import Platform, core_wat, eventually

UNKNOWN_ID = "01a20126-334c-7585-856e-53c0296ce7fd"
UNKNOWN_TOKEN = f"faas_{'a' * 12}_{'b' * 32}"


class Guarded(msgspec.Struct):
    """The server, its database, tokens by name, and what there is to find."""

    port: Port
    http: httpx.AsyncClient
    pool: Pool
    tokens: dict[str, str]
    addresses: Iterator[int] = msgspec.field(default_factory=lambda: count(1))
    billing_id: str = ""
    billing_execution: str = ""
    orders_id: str = ""

    def new_address(self) -> str:
        """Return an address of this machine from which nothing was sent yet: failures are counted by address."""
        number = next(self.addresses)
        return f"127.0.{1 + number // 250}.{1 + number % 250}"

    def client(self) -> httpx.AsyncClient:
        """Return a client with an address of its own."""
        transport = httpx.AsyncHTTPTransport(local_address=self.new_address())
        return httpx.AsyncClient(base_url=self.http.base_url, trust_env=False, timeout=60, transport=transport)

    async def connect(self) -> Connection:
        """Return a connection from an address of its own."""
        return Connection(
            *await asyncio.open_connection("127.0.0.1", self.port.number, local_addr=(self.new_address(), 0))
        )

    async def ask(
        self, method: str, target: str, token: str | None = None, body: Any = None, **headers: str
    ) -> httpx.Response:
        """Send a request with the token of this name."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given |= bearer(self.tokens[token])
        content = None if body is None else json.dumps(body)
        if content is not None:
            given["Content-Type"] = "application/json"
        return await self.http.request(method, target, headers=given, content=content)

    async def ask_raw(self, method: str, target: str, *headers: str, body: bytes = b"") -> tuple[int, Any]:
        """Send a request with exactly these headers on a connection of its own; return the status and the JSON."""
        connection = await self.connect()
        lines = [f"{method} {target} HTTP/1.1", "host: 127.0.0.1", f"content-length: {len(body)}", *headers, "", ""]
        connection.send("\r\n".join(lines).encode("utf-8", "surrogateescape") + body)
        try:
            if method == "HEAD":
                head = await asyncio.wait_for(connection.reader.readuntil(b"\r\n\r\n"), 60)
                return int(head.split()[1]), None
            status, _, document = await connection.answer()
            return status, document
        finally:
            await connection.close()


@pytest.fixture(scope="module")
async def guarded(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    """A server that asks for tokens, with tokens of each kind."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    settings = Settings(
        database_url=module_database_url, data_dir=folder, auth="required", languages=("wat", "wasm"), database_pool=4
    )
    async with AsyncExitStack() as stack:
        shutdown = GracefulShutdown(settings.shutdown_grace)
        service = await stack.enter_async_context(open_service(settings, shutdown))
        pool = await stack.enter_async_context(open_pool(module_database_url, 4))
        listening = small_buffer_socket()
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        number = listening.getsockname()[1]
        server = HttpServer(service.application, service.protocol, shutdown)
        serving = asyncio.create_task(server.serve_until_shutdown(listening, interrupt=service.runtime.interrupt))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{number}", trust_env=False, timeout=60)
        )
        guarded = Guarded(Port(number), http, pool, await make_tokens(pool))
        await fill(guarded)
        yield guarded
        shutdown.request()
        await serving


async def make_tokens(pool: Pool) -> dict[str, str]:
    orders = ("orders-*",)
    made = {
        "admin": await make_token(pool, "admin", "admin"),
        "reader": await make_token(pool, "reader", "read"),
        "invoker": await make_token(pool, "invoker", "invoke"),
        "deployer": await make_token(pool, "deployer", "deploy"),
        "orders-reader": await make_token(pool, "orders-reader", "read", functions=orders),
        "orders-invoker": await make_token(pool, "orders-invoker", "invoke", functions=orders),
        "orders-deployer": await make_token(pool, "orders-deployer", "deploy", "read", functions=orders),
        "revoked": await make_token(pool, "revoked", "admin"),
        "expired": await make_token(pool, "expired", "admin"),
    }
    await TokenService(pool).revoke(OPERATOR, made["revoked"].token.id)
    await pool.execute("UPDATE tokens SET expires_at = clock_timestamp() - interval '1 s' WHERE name = 'expired'")
    return {name: token.text for name, token in made.items()}


async def fill(guarded: Guarded) -> None:
    guarded.http.headers.update(bearer(guarded.tokens["admin"]))
    platform = Platform(guarded.http, guarded.pool)
    guarded.orders_id = (await platform.deploy("orders-1", core_wat()))["id"]
    guarded.billing_id = (await platform.deploy("billing", core_wat()))["id"]
    guarded.billing_execution = (await platform.execute("billing"))["id"]
    await platform.execute("orders-1")
    del guarded.http.headers["Authorization"]


def without_names(response: httpx.Response, *names: str) -> str:
    """Return the answer without what it repeats of the request, and without ids."""
    problem = response.json()
    problem.pop("requestId")
    text = json.dumps(problem)
    for name in names:
        text = text.replace(name, "NAME")
    return f"{response.status_code} {text}"


# --- The header -------------------------------------------------------------------------------------------------------

REFUSED_HEADERS = {
    "none": [],
    "empty": ["authorization:"],
    "scheme alone": ["authorization: Bearer"],
    "no scheme": ["authorization: {admin}"],
    "basic": ["authorization: Basic {admin}"],
    "bearer as a parameter": ["authorization: Basic x, Bearer {admin}"],
    "digest": ["authorization: Digest token={admin}"],
    "quoted": ['authorization: Bearer "{admin}"'],
    "two tokens": ["authorization: Bearer {admin} {admin}"],
    "a list": ["authorization: Bearer {reader}, Bearer {admin}"],
    "the same twice": ["authorization: Bearer {admin}", "authorization: Bearer {admin}"],
    "good, then bad": ["authorization: Bearer {admin}", "authorization: Bearer x"],
    "bad, then good": ["authorization: Bearer x", "Authorization: Bearer {admin}"],
    "upper case": ["authorization: Bearer {ADMIN}"],
    "unknown": [f"authorization: Bearer {UNKNOWN_TOKEN}"],
    "revoked": ["authorization: Bearer {revoked}"],
    "expired": ["authorization: Bearer {expired}"],
    "id alone": ["authorization: Bearer {admin_id}"],
    "no secret": ["authorization: Bearer faas_{admin_id}_"],
    "half a secret": ["authorization: Bearer {admin_half}"],
    "the secret of another": ["authorization: Bearer faas_{admin_id}_{reader_secret}"],
    "the stored digest": ["authorization: Bearer faas_{admin_id}_{digest}"],
    "a name": ["authorization: Bearer faas_admin_{admin_secret}"],
    "a longer token": ["authorization: Bearer {admin}a"],
    "full width": ["authorization: Bearer \uff46aas_{admin_id}_{admin_secret}"],
    "a wildcard": ["authorization: Bearer faas_%_{admin_secret}"],
    "SQL": ["authorization: Bearer faas_{admin_id}'--_{admin_secret}"],
    "many bytes": ["authorization: Bearer " + "a" * 60_000],
    "cookie": ["cookie: token={admin}; Authorization=Bearer {admin}"],
    "proxy": ["proxy-authorization: Bearer {admin}"],
    "api key": ["x-api-key: {admin}"],
    "forwarded header": ["x-forwarded-authorization: Bearer {admin}", "x-original-authorization: Bearer {admin}"],
    "underscore": ["authorization_: Bearer {admin}", "http_authorization: Bearer {admin}"],
    "loopback by word": ["x-forwarded-for: 127.0.0.1", "x-real-ip: 127.0.0.1", "forwarded: for=127.0.0.1"],
    "another address by word": ["x-original-url: /health", "x-rewrite-url: /health"],
    "upgrade": ["connection: upgrade", "upgrade: h2c"],
}


def header_values(tokens: dict[str, str]) -> dict[str, str]:
    _, admin_id, admin_secret = tokens["admin"].split("_")
    return {
        **tokens,
        "ADMIN": tokens["admin"].upper(),
        "admin_id": admin_id,
        "admin_secret": admin_secret,
        "admin_half": tokens["admin"][:-16],
        "reader_secret": tokens["reader"].split("_")[2],
    }


@pytest.fixture
def values(guarded: Guarded) -> dict[str, str]:
    return header_values(guarded.tokens)


@pytest.mark.parametrize("path", ["GET /functions", "POST /functions/orders-1/execute"])
@pytest.mark.parametrize("case", REFUSED_HEADERS)
async def test_header_is_refused(guarded: Guarded, values: dict[str, str], case: str, path: str) -> None:
    """The same answer for all of them, on the fast path too."""
    digest = await guarded.pool.fetchval("SELECT encode(secret_digest, 'hex') FROM tokens WHERE name = 'admin'")
    headers = [line.format(**values, digest=digest) for line in REFUSED_HEADERS[case]]
    method, target = path.split()
    body = b"{}" if method == "POST" else b""
    status, problem = await guarded.ask_raw(method, target, "content-type: application/json", *headers, body=body)
    assert (status, problem["type"]) == (401, "urn:faas:problem:not-authenticated"), problem
    assert problem["detail"].startswith("this needs a token: `Authorization: Bearer faas_…`")


@pytest.mark.parametrize("line", ["authorization : Bearer {admin}", "authorization: Bearer\r\n {admin}", "\x00: x"])
async def test_header_that_is_no_http_is_refused(guarded: Guarded, values: dict[str, str], line: str) -> None:
    status, _ = await guarded.ask_raw("GET", "/functions", line.format(**values))
    assert status in {400, 401}


@pytest.mark.parametrize(
    "line", ["AUTHORIZATION: Bearer {admin}", "authorization: bearer {admin}", "Authorization:  BEARER  {admin}"]
)
async def test_header_in_other_case_is_admitted(guarded: Guarded, values: dict[str, str], line: str) -> None:
    status, _ = await guarded.ask_raw("GET", "/functions", line.format(**values))
    assert status == 200


@pytest.mark.parametrize("query", ["access_token={admin}", "token={admin}", "authorization=Bearer%20{admin}"])
async def test_token_in_the_query_is_refused(guarded: Guarded, values: dict[str, str], query: str) -> None:
    status, _ = await guarded.ask_raw("GET", f"/functions?{query.format(**values)}")
    assert status == 401


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "FOO"]
)
@pytest.mark.parametrize("path", ["/functions", "/functions/orders-1/execute", "/nothing", "/", "/tokens", "/schema/x"])
async def test_every_method_needs_a_token(guarded: Guarded, method: str, path: str) -> None:
    status, _ = await guarded.ask_raw(method, path)
    assert status in {400, 401}, "no answer tells what there is"


async def test_401_names_the_scheme(guarded: Guarded) -> None:
    response = await guarded.ask("GET", "/functions")
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")


async def test_pipelined_request_does_not_inherit_the_token(guarded: Guarded) -> None:
    connection = await guarded.connect()
    first = f"GET /functions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {guarded.tokens['reader']}\r\n\r\n"
    connection.send((first + "GET /functions HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").encode())
    assert (await connection.answer())[0] == 200
    assert (await connection.answer())[0] == 401
    await connection.close()


async def test_fast_path_does_not_inherit_the_token_of_its_connection(guarded: Guarded) -> None:
    connection = await guarded.connect()
    line = "POST /functions/orders-1/execute HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    token = f"authorization: Bearer {guarded.tokens['invoker']}\r\n"
    for headers, status in ((token, 200), (token, 200), ("", 401), (token, 200)):
        connection.send(f"{line}{headers}content-length: 2\r\n\r\n{{}}".encode())
        assert (await connection.answer())[0] == status
    await connection.close()


async def test_revoked_token_is_refused_on_the_connection_that_it_opened(guarded: Guarded) -> None:
    new = await make_token(guarded.pool, "short-lived", "invoke")
    connection = await guarded.connect()
    sent = (
        "POST /functions/orders-1/execute HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {new.text}\r\ncontent-length: 2\r\n\r\n{{}}"
    ).encode()

    async def ask() -> int:
        connection.send(sent)
        return (await connection.answer())[0]

    assert [await ask() for _ in range(3)] == [200, 200, 200]
    await TokenService(guarded.pool).revoke(OPERATOR, new.token.id)
    assert await eventually(ask, lambda status: status != 200) == 401
    assert await ask() == 401
    await connection.close()


# --- Scopes -----------------------------------------------------------------------------------------------------------

BODIES: dict[str, Any] = {
    "createFunction": {"name": "f", "language": "wat", "source": ""},  # 400 with the scope
    "updateFunction": {"name": "f", "language": "wat", "source": ""},
    "promoteRevision": {"revision": 99},
    "rollBackFunction": {},
    "executeFunction": {},
    "createToken": {"name": "1", "scopes": []},
}
OPERATIONS = [
    (operation["operationId"], method, path)
    for path, item in openapi_description()["paths"].items()
    for method, operation in item.items()
    if method != "parameters"
]


@pytest.mark.parametrize("token", ["admin", "reader", "invoker", "deployer"])
@pytest.mark.parametrize(("operation", "method", "path"), OPERATIONS)
async def test_operation_needs_its_scope(guarded: Guarded, operation: str, method: str, path: str, token: str) -> None:
    scopes = {"admin": "admin", "reader": "read", "invoker": "invoke", "deployer": "deploy"}
    target = path.replace("{id}", UNKNOWN_ID if operation != "executeFunction" else "nothing").replace("{number}", "1")
    response = await guarded.ask(method.upper(), target, token, BODIES.get(operation))
    needed = OPERATION_SCOPES[operation]
    if not needed or token == "admin" or scopes[token] in needed:
        assert response.status_code not in {401, 403}
        assert response.status_code < 500
    else:
        assert response.status_code == 403
        assert response.json()["missingScope"] == needed[0]


@pytest.mark.parametrize("token", ["reader", "invoker", "deployer", "orders-deployer"])
async def test_scope_cannot_be_raised(guarded: Guarded, token: str) -> None:
    body = {"name": "mine", "scopes": ["admin"]}
    assert (await guarded.ask("POST", "/tokens", token, body)).status_code == 403
    listed = await guarded.ask("DELETE", f"/tokens/{guarded.tokens['admin'].split('_')[1]}", token)
    assert listed.status_code == 403
    assert (await guarded.ask("GET", "/tokens", token, X_HTTP_Method_Override="POST")).status_code == 403


@pytest.mark.parametrize("reference", ["%00", "a%00b", "%ff", "admin", "A" * 12, "a" * 12, "a" * 5000])
async def test_token_that_does_not_exist_is_not_found(guarded: Guarded, reference: str) -> None:
    assert (await guarded.ask("DELETE", f"/tokens/{reference}", "admin")).status_code == 404


@pytest.mark.parametrize(
    "field", ["id", "secret", "token", "createdBy", "created_by", "revokedAt", "function_patterns", "lastUsedAt"]
)
async def test_token_fields_of_the_server_are_not_accepted(guarded: Guarded, field: str) -> None:
    body = {"name": "mine", "scopes": ["read"], field: "x"}
    assert (await guarded.ask("POST", "/tokens", "admin", body)).status_code == 400


@pytest.mark.parametrize("field", ["createdBy", "scopes", "token", "auth", "invokedBy"])
async def test_function_fields_of_access_are_not_accepted(guarded: Guarded, field: str) -> None:
    body = {"name": "orders-2", "language": "wat", "source": "(module)", field: "admin"}
    assert (await guarded.ask("POST", "/functions", "orders-deployer", body)).status_code == 400
    in_settings = {"name": "orders-2", "language": "wat", "source": "(module)", "settings": {field: "none"}}
    assert (await guarded.ask("PUT", "/functions/orders-1", "orders-deployer", in_settings)).status_code == 400


async def test_method_override_is_ignored(guarded: Guarded) -> None:
    for name in ("X_HTTP_Method_Override", "X_Method_Override", "X_HTTP_Method"):
        response = await guarded.ask("GET", "/functions/orders-1", "reader", **{name: "DELETE"})
        assert response.status_code == 200
    assert (await guarded.ask("POST", "/functions/orders-1?_method=GET", "reader")).status_code in {403, 405}


async def test_health_without_a_token_is_the_status_alone(guarded: Guarded) -> None:
    assert set((await guarded.ask("GET", "/health")).json()) == {"status"}
    assert set((await guarded.ask("GET", "/health", "invoker")).json()) == {"status"}
    assert "toolchains" in (await guarded.ask("GET", "/health", "reader")).json()


async def test_execution_of_another_token_is_not_found_without_read(guarded: Guarded) -> None:
    own = (await guarded.ask("POST", "/functions/orders-1/execute", "orders-invoker", {})).json()
    assert own["invokedBy"] == "orders-invoker"
    assert (await guarded.ask("GET", f"/executions/{own['id']}", "orders-invoker")).status_code == 200
    assert (await guarded.ask("GET", f"/executions/{own['id']}", "reader")).status_code == 200
    assert (await guarded.ask("GET", f"/executions/{own['id']}", "invoker")).status_code == 404
    assert (await guarded.ask("GET", f"/executions/{guarded.billing_execution}", "invoker")).status_code == 404


# --- Patterns ---------------------------------------------------------------------------------------------------------

BILLING_TARGETS = [
    "/functions/billing",
    "/functions/billing/",
    "//functions//billing",
    "/functions/./billing",
    "/functions/orders-1/../billing",
    "/functions/orders-1/%2e%2e/billing",
    "/functions/orders-1%2f..%2fbilling",
    "/functions/%62illing",
    "/functions/%2562illing",
    "/functions/billing%00",
    "/functions/orders-1%00billing",
    "/functions/billing%20",
    "/functions/%20billing",
    "/functions/billing;orders-1",
    "/functions/billing#orders-1",
    "/functions/Billing",
    "/functions/BILLING",
    "/functions/%EF%BD%82illing",
    "/functions/bill%C4%B1ng",
    "/functions/billing@1",
    "/functions/{id}",
    "/functions/{ID}",
    "/functions/{id}@1",
    "/functions/billing/revisions",
    "/functions/billing/revisions/1",
    "/functions/{id}/revisions/1",
    "/functions/billing/executions",
    "/functions/{id}/executions?status=COMPLETED",
    "/executions/{execution}",
    "/functions/*",
    "/functions/%25",
    "/functions/_illing",
]


@pytest.mark.parametrize("target", BILLING_TARGETS)
async def test_function_outside_the_patterns_is_not_found(guarded: Guarded, target: str) -> None:
    filled = target.format(id=guarded.billing_id, ID=guarded.billing_id.upper(), execution=guarded.billing_execution)
    for token in ("orders-reader", "orders-deployer"):
        status, problem = await guarded.ask_raw("GET", filled, f"authorization: Bearer {guarded.tokens[token]}")
        assert status in {400, 404}, problem
        assert core_wat() not in json.dumps(problem)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/functions/{}", None),
        ("GET", "/functions/{}@1", None),
        ("GET", "/functions/{}/revisions", None),
        ("GET", "/functions/{}/revisions/1", None),
        ("GET", "/functions/{}/executions", None),
        ("DELETE", "/functions/{}", None),
        ("PUT", "/functions/{}", {"name": "orders-9", "language": "wat", "source": "(module)"}),
        ("POST", "/functions/{}/promote", {"revision": 1}),
        ("POST", "/functions/{}/rollback", {}),
        ("POST", "/functions/{}/execute", {}),
        ("POST", "/functions/{}@1/execute", {}),
    ],
)
async def test_answer_does_not_tell_whether_a_function_exists(
    guarded: Guarded, method: str, path: str, body: Any
) -> None:
    token = "orders-invoker" if path.endswith("execute") else "orders-deployer"
    for existing, missing in (("billing", "nothing"), (guarded.billing_id, UNKNOWN_ID)):
        there = await guarded.ask(method, path.format(existing), token, body)
        gone = await guarded.ask(method, path.format(missing), token, body)
        assert there.status_code == 404
        assert without_names(there, existing) == without_names(gone, missing)
        assert set(there.headers) == set(gone.headers)
    assert (await guarded.ask("GET", "/functions/billing", "admin")).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_name_outside_the_patterns_is_refused_whether_or_not_it_is_taken(guarded: Guarded, method: str) -> None:
    target = "/functions" if method == "POST" else "/functions/orders-1"
    answers = [
        await guarded.ask(method, target, "orders-deployer", {"name": name, "language": "wat", "source": core_wat()})
        for name in ("billing", "nothing")
    ]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert without_names(answers[0], "billing") == without_names(answers[1], "nothing")
    assert "missingScope" not in answers[0].json()


@pytest.mark.parametrize("name", ["Orders-1", "orders_1", "orders", "xorders-1", "orders\u20101", "orders-1\n"])
async def test_name_that_looks_like_the_pattern_is_refused(guarded: Guarded, name: str) -> None:
    body = {"name": name, "language": "wat", "source": core_wat()}
    assert (await guarded.ask("POST", "/functions", "orders-deployer", body)).status_code in {400, 403}


async def test_lists_have_only_functions_within_the_patterns(guarded: Guarded) -> None:
    for query in ("", f"?cursor={'f' * 8}-ffff-ffff-ffff-{'f' * 12}", "?status=READY", "?limit=1", "?language=wat"):
        listed = (await guarded.ask("GET", f"/functions{query}", "orders-reader")).json()
        assert {function["name"] for function in listed} == {"orders-1"}, query


@pytest.mark.parametrize(
    "cursor",
    ["billing", "1 OR 1=1", "%", "' OR ''='", "00000000-0000-0000-0000-00000000000g", "-1", "{id}", "a" * 5000],
)
async def test_cursor_opens_nothing(guarded: Guarded, cursor: str) -> None:
    for path in ("/functions", f"/functions/{guarded.orders_id}/executions", "/functions/orders-1/revisions"):
        response = await guarded.http.get(
            path,
            params={"cursor": cursor.format(id=guarded.billing_id)},
            headers=bearer(guarded.tokens["orders-reader"]),
        )
        assert response.status_code in {200, 400}
        assert "billing" not in response.text.replace(repr(cursor), "").replace(cursor, "")


async def test_metrics_have_only_functions_within_the_patterns(guarded: Guarded) -> None:
    text = (await guarded.ask("GET", "/metrics", "orders-reader")).text
    assert "faas_executions_seconds" in text
    assert "billing" not in text
    assert 'function="orders-1"' in text
    assert 'function="billing"' in (await guarded.ask("GET", "/metrics", "reader")).text


async def test_limits_and_states_of_a_function_outside_tell_nothing(guarded: Guarded) -> None:
    """A function that is at its limit, and one that is not READY, look as if there were none."""
    limited = {"name": "limited", "language": "wat", "source": core_wat(), "settings": {"limits": {"perSecond": 0.001}}}
    await guarded.ask("POST", "/functions", "admin", limited)
    await guarded.ask("POST", "/functions", "admin", {"name": "broken", "language": "wat", "source": "(module"})

    async def status(name: str) -> str:
        answer: str = (await guarded.ask("GET", f"/functions/{name}", "admin")).json()["status"]
        return answer

    await eventually(lambda: status("limited"), lambda found: found == "READY")
    await eventually(lambda: status("broken"), lambda found: found == "FAILED")
    for _ in range(3):
        last = await guarded.ask("POST", "/functions/limited/execute", "admin", {})
    assert last.status_code == 429
    for name in ("limited", "broken"):
        found = (await guarded.ask("GET", f"/functions/{name}", "admin")).json()["id"]
        for reference in (name, found):
            answer = await guarded.ask("POST", f"/functions/{reference}/execute", "orders-invoker", {})
            assert answer.status_code == 404


async def test_rename_outside_takes_the_function_from_the_token(guarded: Guarded) -> None:
    body = {"name": "orders-moved", "language": "wat", "source": core_wat()}
    created = (await guarded.ask("POST", "/functions", "orders-deployer", body)).json()
    await eventually(
        lambda: guarded.ask("POST", f"/functions/{created['id']}/execute", "orders-invoker", {}),
        lambda answer: answer.status_code == 200,
    )
    body["name"] = "moved"
    assert (await guarded.ask("PUT", f"/functions/{created['id']}", "admin", body)).status_code == 200
    for method, path in (("GET", "/functions/{}"), ("POST", "/functions/{}/execute")):
        token = "orders-deployer" if method == "GET" else "orders-invoker"
        assert (await guarded.ask(method, path.format(created["id"]), token)).status_code == 404


async def test_time_does_not_tell_whether_a_function_exists(guarded: Guarded) -> None:
    times: dict[str, list[float]] = {"billing": [], "nothing": []}
    for number in range(400):
        for name in sorted(times, reverse=bool(number % 2)):
            began = time.perf_counter()
            assert (await guarded.ask("GET", f"/functions/{name}", "orders-reader")).status_code == 404
            times[name].append(time.perf_counter() - began)
    there, gone = median(times["billing"]), median(times["nothing"])
    assert 0.75 < there / gone < 1.33


# --- Rates and guesses ------------------------------------------------------------------------------------------------


async def test_rate_of_a_token_is_limited_and_told(guarded: Guarded) -> None:
    await make_token(guarded.pool, "slow", "read", per_second=0.01)
    guarded.tokens["slow"] = (await make_token(guarded.pool, "slower", "read", per_second=0.01)).text
    first = await guarded.ask("GET", "/functions", "slow")
    assert (first.status_code, first.headers["ratelimit-policy"]) == (200, '"token";q=1;w=100')
    assert first.headers["ratelimit"].startswith('"token";r=0;t=')
    second = await guarded.ask("GET", "/functions", "slow")
    assert (second.status_code, second.json()["type"]) == (429, "urn:faas:problem:rate-limited")
    assert 1 <= int(second.headers["retry-after"]) <= 100
    assert second.headers["ratelimit"].startswith('"token";r=0;')
    assert (await guarded.ask("GET", "/functions", "reader")).status_code == 200


async def test_guesses_are_limited_but_not_the_tokens_in_use(guarded: Guarded) -> None:
    admin_id = guarded.tokens["admin"].split("_")[1]
    async with guarded.client() as http:
        assert (await http.get("/functions", headers=bearer(guarded.tokens["reader"]))).status_code == 200
        guesses = [
            await http.get("/functions", headers=bearer(f"faas_{admin_id}_{'a' * 31}{chr(97 + n % 26)}"))
            for n in range(30)
        ]
        assert [guess.status_code for guess in guesses[:20]] == [401] * 20
        last = guesses[-1]
        while last.status_code != 429 or int(last.headers["retry-after"]) < 3:  # a slow machine has recovered by one
            last = await http.get("/functions", headers=bearer(f"faas_{admin_id}_{'a' * 32}"))
        assert 3 <= int(last.headers["retry-after"]) <= 5
        assert (await http.get("/functions", headers=bearer(guarded.tokens["reader"]))).status_code == 200
        new = await make_token(guarded.pool, "after-guesses", "read")
        assert (await http.get("/functions", headers=bearer(new))).status_code == 429
    async with guarded.client() as http:
        assert (await http.get("/functions", headers=bearer(new))).status_code == 200


async def test_many_first_uses_of_a_token_at_once_are_one_attempt(guarded: Guarded) -> None:
    new = await make_token(guarded.pool, "used-at-once", "read")
    async with guarded.client() as http:
        answers = await asyncio.gather(*(http.get("/functions", headers=bearer(new)) for _ in range(60)))
        assert {answer.status_code for answer in answers} == {200}
    async with guarded.client() as http:
        guesses = await asyncio.gather(*(http.get("/functions", headers=bearer(UNKNOWN_TOKEN)) for _ in range(60)))
        assert 20 <= [guess.status_code for guess in guesses].count(401) <= 30  # one more in 5 s


# --- What is kept -----------------------------------------------------------------------------------------------------


async def test_changes_name_their_token(guarded: Guarded) -> None:
    body = {"name": "orders-audited", "language": "wat", "source": core_wat()}
    await guarded.ask("POST", "/functions", "orders-deployer", body)
    revision = (await guarded.ask("GET", "/functions/orders-audited/revisions/1", "admin")).json()
    assert revision["createdBy"] == "orders-deployer"
    await guarded.ask("DELETE", "/functions/orders-audited", "orders-deployer")
    entries = (await guarded.ask("GET", "/audit?limit=200", "admin")).json()
    own = [(e["action"], e["tokenName"], e["via"]) for e in entries if e["subject"] == "orders-audited"]
    assert own == [("function.deleted", "orders-deployer", "api"), ("function.created", "orders-deployer", "api")]


async def test_request_id_cannot_write_log_lines(guarded: Guarded, capsys: pytest.CaptureFixture[str]) -> None:
    response = await guarded.http.get("/functions", headers={"X-Request-Id": "a\tlevel=info event=forged"})
    assert response.status_code == 401
    assert "forged" not in capsys.readouterr().out
    assert response.headers["x-request-id"] != "a\tlevel=info event=forged"


async def test_refused_tokens_are_in_the_log_as_often_as_an_address_may_fail(guarded: Guarded) -> None:
    async with guarded.client() as http:
        with structlog.testing.capture_logs() as logs:
            for _ in range(30):
                await http.get("/functions", headers=bearer(UNKNOWN_TOKEN))
    refused = [entry for entry in logs if entry["event"] == "authentication.refused"]
    assert 20 <= len(refused) <= 25  # one more in 5 s
    assert {entry["token_id"] for entry in refused} == {"a" * 12}
    assert all(entry["address"].startswith("127.0.") for entry in refused)
    assert "b" * 32 not in str(logs)


async def test_secrets_are_in_no_log_answer_or_table(guarded: Guarded, capsys: pytest.CaptureFixture[str]) -> None:
    made = (await guarded.ask("POST", "/tokens", "admin", {"name": "logged", "scopes": ["read"]})).json()
    secret = made["token"].split("_")[2]
    answers = [
        await guarded.http.get("/functions", headers=bearer(made["token"])),
        await guarded.http.get("/nothing", headers=bearer(made["token"])),
        await guarded.http.post("/functions", headers=bearer(made["token"])),
        await guarded.http.get("/functions", headers=bearer(made["token"] + "x")),
        await guarded.ask("GET", "/tokens", "admin"),
        await guarded.ask("GET", "/audit", "admin"),
    ]
    captured = capsys.readouterr()
    texts = [captured.out, captured.err, *(answer.text for answer in answers)]
    tables = ("tokens", "audit", "executions", "revisions")
    texts += [str(await guarded.pool.fetch(f"SELECT {table}::text FROM {table}")) for table in tables]
    assert not any(secret in text for text in texts)

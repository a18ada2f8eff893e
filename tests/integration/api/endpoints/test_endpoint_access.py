"""Who may call a function as an HTTP endpoint: tokens, public functions, and web pages of other origins."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from faas.access.model import NewToken
from faas.settings import Settings
from tests.helpers.access import bearer, make_token
from tests.helpers.endpoints import serving
from tests.helpers.support import LOOP_WAT, Platform, core_wat, returning_wat

LAMBDA_HEADERS = "export const handler = (event) => event.headers;"
MAX_IN_FLIGHT = 8
PAGE = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}


class Guarded(msgspec.Struct):
    """A server that asks for tokens, with a public and a private function, and tokens for it."""

    platform: Platform
    admin: NewToken
    invoker: NewToken
    reader: NewToken
    other: NewToken

    async def status(self, path: str, token: NewToken | None = None, **headers: str) -> int:
        sent = {**({} if token is None else bearer(token)), **headers}
        return (await self.platform.http.get(path, headers=sent)).status_code


@pytest.fixture(scope="module")
async def guarded(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guarded]:
    folder: Path = tmp_path_factory.mktemp("guarded")
    settings = Settings(
        database_url=module_database_url, data_dir=folder, auth="required", languages=("javascript", "wat"),
        database_pool=4, max_in_flight=MAX_IN_FLIGHT,
    )  # fmt: skip
    async with serving(settings) as platform:
        pool = platform.pool
        admin = await make_token(pool, "admin", "admin")
        platform.http.headers.update(bearer(admin))
        await platform.register("public", returning_wat("1"), settings={"http": {"auth": "none"}})
        await platform.register("private", returning_wat("2"))
        await platform.register("headers", LAMBDA_HEADERS, "javascript", settings={"http": {"auth": "none"}})
        for name in ("public", "private", "headers"):
            assert (await platform.settled(name, timeout=120))["status"] == "READY"
        del platform.http.headers["authorization"]
        yield Guarded(
            platform=platform,
            admin=admin,
            invoker=await make_token(pool, "invoker", "invoke"),
            reader=await make_token(pool, "reader", "read"),
            other=await make_token(pool, "other", "invoke", functions=("other-*",)),
        )


async def test_public_function_needs_no_token_and_a_private_one_does(guarded: Guarded) -> None:
    assert await guarded.status("/f/public") == 200
    assert await guarded.status("/f/public/path?x=1") == 200
    for path in ("/f/private", "/f/private/path", "/f/missing", "/f/1st", "/f/public@1", "/f/missing@1"):
        response = await guarded.platform.http.get(path)
        assert response.status_code == 401, path
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["detail"].startswith("this needs a token"), path


async def test_token_decides_as_for_execute(guarded: Guarded) -> None:
    assert await guarded.status("/f/private", guarded.invoker) == 200
    assert await guarded.status("/f/private@1", guarded.invoker) == 200
    assert await guarded.status("/f/private", guarded.reader) == 403
    assert await guarded.status("/f/private", guarded.other) == 404
    assert await guarded.status("/f/missing", guarded.other) == 404
    unknown = "faas_aaaaaaaaaaaa_" + "a" * 32
    assert (await guarded.platform.http.get("/f/public", headers=bearer(unknown))).status_code == 401


async def test_authorization_of_the_function_reaches_it_and_a_token_does_not(guarded: Guarded) -> None:
    response = await guarded.platform.http.get("/f/headers", headers={"authorization": "Bearer of-the-function"})
    assert response.json()["authorization"] == "Bearer of-the-function"
    response = await guarded.platform.http.get("/f/headers", headers=bearer(guarded.invoker))
    assert response.status_code == 200
    assert "authorization" not in response.json()
    assert guarded.invoker.text not in response.text


@pytest.mark.parametrize("form", ["{}", "Bearer {} ", "Bearer\t{}", "Token {}", "Basic dTpw, Bearer {}"])
async def test_token_in_a_form_that_is_not_admitted_does_not_reach_the_function(guarded: Guarded, form: str) -> None:
    sent = {"authorization": form.format(guarded.invoker.text)}
    response = await guarded.platform.http.get("/f/headers", headers=sent)
    assert response.status_code == 200
    assert "authorization" not in response.json()


async def test_execution_names_its_token(guarded: Guarded) -> None:
    for token, name in ((guarded.invoker, "invoker"), (None, None)):
        response = await guarded.platform.http.get("/f/public", headers={} if token is None else bearer(token))
        path = f"/executions/{response.headers['faas-execution-id']}"
        record = (await guarded.platform.http.get(path, headers=bearer(guarded.admin))).json()
        assert record["invokedBy"] == name


async def test_deploy_that_ends_the_public_access_holds_for_the_next_call(guarded: Guarded) -> None:
    """What a process knew of the function is not what decides."""
    platform = guarded.platform
    platform.http.headers.update(bearer(guarded.admin))
    try:
        await platform.register("changing", core_wat(), settings={"http": {"auth": "none"}})
        assert (await platform.settled("changing"))["status"] == "READY"
        assert (await platform.http.get("/f/changing", headers={"authorization": ""})).status_code == 200
        await platform.put("changing", core_wat())
        assert (await platform.settled("changing"))["latest"]["status"] == "READY"
    finally:
        del platform.http.headers["authorization"]
    response = await platform.http.get("/f/changing")
    assert response.status_code == 401
    rows = await platform.pool.fetch(
        "SELECT revision, status, error_message FROM executions JOIN functions ON functions.id = function_id"
        " WHERE name = 'changing' AND revision = 2"
    )
    assert [tuple(row) for row in rows] in ([], [(2, "FAILED", "interrupted: this revision asks for a token")])
    assert (await platform.http.get("/f/changing")).status_code == 401


async def deploy(guarded: Guarded, name: str, source: str, settings: dict[str, Any]) -> None:
    """Create a function, or give it another revision, as the administrator."""
    platform = guarded.platform
    platform.http.headers.update(bearer(guarded.admin))
    try:
        if (await platform.http.get(f"/functions/{name}")).status_code == 404:
            await platform.register(name, source, settings=settings)
        else:
            await platform.put(name, source, settings=settings)
        assert (await platform.latest_settled(name))["latest"]["status"] == "READY"
    finally:
        del platform.http.headers["authorization"]


async def test_deploy_that_begins_the_public_access_holds_for_the_next_call(guarded: Guarded) -> None:
    """This process has refused a caller without a token before, and no caller with one comes between."""
    await deploy(guarded, "opening", core_wat(), {})
    assert await guarded.status("/f/opening") == 401
    await deploy(guarded, "opening", core_wat(), {"http": {"auth": "none"}})
    assert await guarded.status("/f/opening") == 200


async def test_refused_callers_do_not_use_up_the_limits_of_a_private_function(guarded: Guarded) -> None:
    """Nor does an answer other than 401 tell them that it exists."""
    await deploy(guarded, "rated", core_wat(), {"limits": {"perSecond": 0.001}})
    for _ in range(3):
        assert await guarded.status("/f/rated") == 401
    assert await guarded.status("/f/rated", guarded.invoker) == 200
    assert await guarded.status("/f/rated", guarded.invoker) == 429
    assert await guarded.status("/f/rated") == 401


async def test_callers_without_a_token_leave_executions_to_those_with_one(guarded: Guarded) -> None:
    await deploy(guarded, "busy", LOOP_WAT, {"http": {"auth": "none"}, "limits": {"time": 1}})
    without = [asyncio.create_task(guarded.status("/f/busy")) for _ in range(2 * MAX_IN_FLIGHT)]
    done, _ = await asyncio.wait(without, return_when=asyncio.FIRST_COMPLETED)  # refused
    assert {task.result() for task in done} == {429}
    assert await guarded.status("/f/private", guarded.invoker) == 200
    assert sorted(await asyncio.gather(*without)) == [429] * (MAX_IN_FLIGHT + 2) + [504] * (MAX_IN_FLIGHT - 2)


async def test_body_for_a_private_function_is_not_read_without_a_token(guarded: Guarded) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        for _ in range(5):
            read.append(b"x" * (1 << 20))
            yield read[-1]

    for name, token, status, pieces in (("private", {}, 401, 0), ("private", bearer(guarded.invoker), 400, 5)):
        read.clear()
        response = await guarded.platform.http.post(f"/f/{name}", content=body(), headers=token)
        assert (response.status_code, len(read)) == (status, pieces)


async def test_web_page_of_another_origin_reaches_public_functions_only(endpoints: Platform) -> None:
    """On a server that asks for no tokens, where any page that a user opens could call it."""
    for name, settings in (("open", {"http": {"auth": "none"}}), ("closed", {})):
        fields: dict[str, Any] = {"settings": settings}
        await endpoints.register(name, core_wat(), **fields)
        assert (await endpoints.settled(name))["status"] == "READY"
    for method in ("GET", "POST", "DELETE"):
        assert (await endpoints.http.request(method, "/f/open", headers=PAGE)).status_code == 200
        assert (await endpoints.http.request(method, "/f/closed", headers=PAGE)).status_code == 401
        assert (await endpoints.http.request(method, "/f/closed")).status_code == 200

"""A running server against its OpenAPI description: no 5xx for any request, and every response is documented."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count, product
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Flaky
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from faas.database.pool import Pool
from tests.helpers.access import bearer, make_token
from tests.helpers.server import EVERY_LANGUAGE, serving
from tests.helpers.support import Platform, core_wat

pytestmark = pytest.mark.slow

BOUNDED = hypothesis_settings(
    max_examples=12,
    stateful_step_count=8,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


SERVER_LIMITS = {"time": 10, "memory": 128 << 20}  # the description of the API does not know them


def as_clients_write(value: Any) -> Any:
    """Return the value with 5.0, an integer to JSON Schema but not to the API, as 5, and limits within the server's."""
    if isinstance(value, dict):
        written = {key: as_clients_write(member) for key, member in value.items()}
        for name, limit in SERVER_LIMITS.items():
            if isinstance(number := written.get(name), int | float) and not isinstance(number, bool):
                written[name] = min(number, limit)
        return written
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    return value


def make_acceptable(body: dict[str, Any]) -> None:
    """Give a body that the schema allows what no schema says: an enabled language, known secrets, a valid source.

    A body that breaks the schema stays as it is: mending the member that breaks it would make it valid.
    """
    if body.get("language") == "python":  # not enabled, because its engine takes long to build
        body["language"] = "javascript"
    if isinstance(given := body.get("settings"), dict):
        given.pop("secrets", None)
        if given.get("outbound"):
            given["outbound"] = ["https://api.example.com"]
    if "admin" in (body.get("scopes") or ()):
        body.pop("functions", None)
    if body.get("language") == "wat" and str(body.get("source")).isprintable():
        body["source"] = core_wat()


@pytest.fixture(params=["off", "required"])
async def auth(request: pytest.FixtureRequest) -> str:
    """Whether the server asks for tokens; clients then have one with the scope admin."""
    return str(request.param)


@pytest.fixture
async def headers(auth: str, pool: Pool) -> dict[str, str]:
    """The headers of every request."""
    return bearer(await make_token(pool, "admin", "admin")) if auth == "required" else {}


@pytest.fixture
async def schema(database_url: str, auth: str, headers: dict[str, str]) -> AsyncIterator[OpenApiSchema]:
    """Return the description of a server that has a function `echo`; `wat` sources in requests are valid."""
    environment = {"FAAS_DATABASE_URL": database_url, "FAAS_AUTH": auth}
    async with serving(*EVERY_LANGUAGE, environment=environment) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False, headers=headers) as http:
            await Platform(http, None).deploy("echo", core_wat())  # type: ignore[arg-type]
        url = f"{server.url}/schema/openapi.json"
        loaded = await asyncio.to_thread(schemathesis.openapi.from_url, url, headers=headers)

        numbers = count()

        @loaded.hook
        def map_case(_context: Any, case: Any) -> Any:
            case.headers = {**(case.headers or {}), **headers}
            if isinstance(case.body, dict):
                case.body = as_clients_write(case.body)
                if isinstance(name := case.body.get("name"), str) and name.isalnum() and name[0].isalpha():
                    case.body["name"] = f"f{next(numbers)}" if name.isascii() else name
                if case.meta.generation.mode.is_positive:
                    make_acceptable(case.body)
            return case

        yield loaded


async def test_openapi_every_response_is_documented(schema: OpenApiSchema) -> None:
    @schema.hook
    def map_path_parameters(context: Any, parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        """Use an existing function in every second read or execution."""
        operation = context.operation
        if (
            not parameters
            or "id" not in parameters
            or operation.path.startswith("/executions")
            or operation.method in {"put", "delete"}
        ):
            return parameters
        return {**parameters, "id": "echo"} if len(str(parameters["id"])) % 2 else parameters

    def ask_all() -> list[str]:
        failures = []
        for found, mode in product(schema.get_all_operations(), GenerationMode):
            operation = found.ok()
            if mode.is_negative and not (operation.query or operation.path_parameters or operation.body):
                continue

            @BOUNDED
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                case.call_and_validate()

            try:
                ask()
            except FailureGroup as failure:
                failures.append(f"{operation.label}: {failure}")
        return failures

    failures = await asyncio.to_thread(ask_all)
    assert not failures, "\n\n".join(failures)


async def test_openapi_without_a_token_nothing_is_answered(schema: OpenApiSchema, auth: str) -> None:
    if auth == "off":
        pytest.skip("this server asks for no tokens")
    with httpx.Client(base_url=schema.get_base_url(), timeout=30, trust_env=False) as http:

        def answered(operation: Any) -> set[int]:
            statuses = set()

            @BOUNDED
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                request = case.as_transport_kwargs()
                response = http.request(
                    request["method"], case.formatted_path, params=request.get("params"), json=request.get("json")
                )
                statuses.add(response.status_code)

            ask()
            return statuses

        for found in schema.get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]
            expected = {200} if operation.label == "GET /health" else {401}
            assert await asyncio.to_thread(answered, operation) == expected, operation.label


async def test_openapi_linked_operations_are_documented(schema: OpenApiSchema, headers: dict[str, str]) -> None:
    """Create a function, then get, change, execute, list and delete in any order."""
    followed: Counter[str] = Counter()
    failures: list[str] = []

    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def validate_response(self, response: Any, case: Any, additional_checks: Any = (), **_: Any) -> None:
            followed[f"{case.operation.label} {response.status_code}"] += 1
            # A 400 for a function that is not READY is correct, although the request is valid.
            excluded = [positive_data_acceptance] if b"function-not-ready" in response.content else []
            try:
                case.validate_response(response, excluded_checks=excluded, additional_checks=additional_checks)
            except FailureGroup as failure:
                failures.append(str(failure))
            changed = case.operation.method in {"post", "put"} and response.status_code in {200, 201}
            if changed and case.operation.path.startswith("/functions"):
                settle(response.json())

    def settle(answer: dict[str, Any]) -> None:
        """Wait for the compiler, so that the next steps do not depend on its speed."""
        while answer["status"] in {"PENDING", "COMPILING"}:
            time.sleep(0.02)
            answer = http.get(f"/functions/{answer['id']}").json()

    wanted = {"POST /functions 201", "GET /functions/{id} 200"}
    random_each_time = hypothesis_settings(BOUNDED, max_examples=6, derandomize=False)
    with httpx.Client(base_url=schema.get_base_url(), timeout=30, trust_env=False, headers=headers) as http:
        for _ in range(20):
            # Which rules the machine offers depends on what earlier runs of it reached: hypothesis ends it over that,
            # sometimes before it has read a function.
            with suppress(Flaky):
                await asyncio.to_thread(Machine.run, settings=random_each_time)
            assert not failures, "\n\n".join(failures)
            if wanted <= set(followed):
                return
    pytest.fail(f"of {sorted(wanted)}, only these were reached: {sorted(followed)}")

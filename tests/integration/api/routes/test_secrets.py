"""The routes of secrets: write-only, for admins, with errors that do not repeat what was sent."""

from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.helpers.access import bearer, make_token
from tests.helpers.secret_process import insert_naming_function
from tests.helpers.support import Platform, eventually

VALUE = "top-secret-value"
JSON = {"Content-Type": "application/json"}


async def put(platform: Platform, name: str = "A", **fields: Any) -> dict[str, Any]:
    response = await platform.http.put(f"/secrets/{name}", json={"value": VALUE, **fields})
    assert response.is_success, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def asks_for_tokens(platform: Platform) -> None:
    """Wait until the server knows that there is a token."""

    async def refused() -> bool:
        return (await platform.http.get("/secrets")).status_code == 401

    await eventually(refused)


async def test_secrets_are_set_listed_and_deleted(bare_platform: Platform) -> None:
    http = bare_platform.http
    body = {"value": VALUE, "hosts": ["https://api.stripe.com"], "functions": ["orders-*"]}
    made = await http.put("/secrets/STRIPE_KEY", json=body)
    assert made.status_code == 201
    secret = made.json()
    assert set(secret) == {
        "name", "hosts", "functions", "keyId", "createdBy", "createdAt", "updatedBy", "updatedAt",
    }  # fmt: skip
    assert (secret["name"], secret["hosts"], secret["functions"]) == (
        "STRIPE_KEY",
        ["https://api.stripe.com"],
        ["orders-*"],
    )
    assert (await http.get("/secrets/STRIPE_KEY")).json() == secret
    replaced = await http.put("/secrets/STRIPE_KEY", json={"value": "other"})
    assert replaced.status_code == 200
    assert (replaced.json()["hosts"], replaced.json()["functions"]) == (None, [])
    await put(bare_platform, "A")
    first = await http.get("/secrets?limit=1")
    assert [item["name"] for item in first.json()] == ["A"]
    rest = await http.get(first.links["next"]["url"])
    assert ([item["name"] for item in rest.json()], "next" in rest.links) == (["STRIPE_KEY"], False)
    assert (await http.delete("/secrets/A")).status_code == 204
    for method in ("GET", "DELETE"):
        gone = await http.request(method, "/secrets/A")
        assert (gone.status_code, gone.json()["detail"]) == (404, "no secret is called 'A'")
    entries = (await http.get("/audit")).json()
    assert [(entry["action"], entry["subject"]) for entry in entries] == [
        ("secret.deleted", "A"),
        ("secret.set", "A"),
        ("secret.set", "STRIPE_KEY"),
        ("secret.set", "STRIPE_KEY"),
    ]


async def test_secret_in_use_is_not_deleted(bare_platform: Platform) -> None:
    await put(bare_platform)
    await insert_naming_function(bare_platform.pool, "orders", "A")
    refused = await bare_platform.http.delete("/secrets/A")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:faas:problem:secret-in-use")
    assert refused.json()["detail"].startswith("revision 1 of the function 'orders' names the secret 'A'; ")


async def test_secret_without_the_key_is_409(bare_platform: Platform, tmp_path: Path) -> None:
    made = await put(bare_platform)
    (tmp_path / "secret.key").unlink()
    refused = await bare_platform.http.put("/secrets/B", json={"value": VALUE})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:faas:problem:secret-key-unavailable")
    assert made["keyId"] in refused.json()["detail"]
    assert not (tmp_path / "secret.key").exists()


async def test_health_says_whether_secrets_can_be_opened(bare_platform: Platform, tmp_path: Path) -> None:
    assert (await bare_platform.http.get("/health")).json()["secrets"] == "OFF"
    made = await put(bare_platform)
    assert (await bare_platform.http.get("/health")).json()["secrets"] == "UP"
    (tmp_path / "secret.key").rename(tmp_path / "moved")
    health = await bare_platform.http.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "UP"), "functions without secrets are served"
    assert health.json()["secrets"] == (
        f"DOWN: secrets are sealed: 1 under the key {made['keyId']}; FAAS_SECRET_KEY_FILE is not there"
    )


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (f'"{VALUE}"', 400, "body: Expected `object`, got `str`"),
        (f'["{VALUE}"]', 400, "body: Expected `object`, got `array`"),
        (f'{{"value": {{"x": "{VALUE}"}}}}', 400, "value: Expected `str`, got `object`"),
        (f'{{"value": {VALUE}}}', 400, "body: JSON is malformed (byte "),
        (f'{{"value": "{VALUE}', 400, "body: JSON is malformed (byte "),
        (f'{{"value": "{VALUE}" "hosts": null}}', 400, "body: JSON is malformed (byte "),
        (f"{{'value': '{VALUE}'}}", 400, "body: JSON is malformed (byte "),
        (f'{{"value": "{VALUE}\\ud800"}}', 400, "body: JSON is malformed (byte "),
        (f'{{"value": "{VALUE}\\u0000"}}', 400, "value: it has a NUL character"),
        (
            f'{{"{VALUE}": 1}}',
            400,
            "body: it has a field that is not of this request; accepted: value, hosts, functions",
        ),
        (f'{{"value": "{VALUE}", "{VALUE}": 1}}', 400, "body: it has a field that is not of this request"),
        (f'{{"hosts": "{VALUE}"}}', 400, "hosts: Expected `array | null`, got `str`"),
        (f'{{"value": "{VALUE}", "hosts": []}}', 400, "hosts: 0 origins; accepted are 1 to 20"),
        (f'{{"value": "{VALUE}", "hosts": ["x"]}}', 400, "hosts: 'x' is not accepted"),
        (f'{{"value": "{VALUE}", "functions": null}}', 400, "functions: Expected `array`, got `null`"),
        (f'{{"value": "{VALUE}", "functions": ["é"]}}', 400, "functions: 'é' is not a pattern of names"),
        ("{}", 400, "value: is required"),
        ('{"value": ""}', 400, "value: it is empty"),
        (f'{{"value": "{VALUE}{"x" * 65536}"}}', 413, "value: it has 65552 bytes; accepted are 1 to 65536"),
    ],
)
async def test_error_does_not_repeat_what_was_sent(refusing: Platform, body: str, status: int, detail: str) -> None:
    with structlog.testing.capture_logs() as logs:
        response = await refusing.http.put("/secrets/A", content=body.encode(), headers=JSON)
    assert response.status_code == status
    assert response.json()["detail"].startswith(detail)
    assert VALUE not in response.text + str(logs)
    assert await refusing.pool.fetchval("SELECT count(*) FROM secrets") == 0


async def test_error_of_a_number_does_not_repeat_it(refusing: Platform) -> None:
    response = await refusing.http.put("/secrets/A", json={"value": 4711471147})
    assert response.json()["detail"] == "value: Expected `str`, got `int`"


@pytest.mark.parametrize("name", ["1A", "A-B", "A%20B", "A%00", "%C3%84", "x" * 65])
async def test_name_that_is_not_accepted_is_400_to_set_and_404_otherwise(refusing: Platform, name: str) -> None:
    response = await refusing.http.put(f"/secrets/{name}", json={"value": VALUE})
    assert response.status_code == 400
    assert response.json()["detail"].startswith("name: ")
    assert (await refusing.http.get(f"/secrets/{name}")).status_code == 404
    assert (await refusing.http.delete(f"/secrets/{name}")).status_code == 404


@pytest.mark.parametrize("scope", ["read", "invoke", "deploy"])
async def test_secrets_need_the_scope_admin(bare_platform: Platform, scope: str) -> None:
    headers = bearer(await make_token(bare_platform.pool, "other", scope))
    await asks_for_tokens(bare_platform)
    for method, path in (("PUT", "/secrets/A"), ("GET", "/secrets/A"), ("DELETE", "/secrets/A"), ("GET", "/secrets")):
        content = b'{"value": "x"}' if method == "PUT" else None
        response = await bare_platform.http.request(method, path, content=content, headers={**JSON, **headers})
        assert (response.status_code, response.json()["missingScope"]) == (403, "admin"), (method, path)


async def test_secret_has_the_name_of_the_token_that_set_it(bare_platform: Platform) -> None:
    token = await make_token(bare_platform.pool, "operator", "admin")
    await asks_for_tokens(bare_platform)
    response = await bare_platform.http.put("/secrets/A", json={"value": VALUE}, headers=bearer(token))
    assert (response.json()["createdBy"], response.json()["updatedBy"]) == ("operator", "operator")


async def test_failure_of_the_database_does_not_log_the_value(bare_platform: Platform) -> None:
    """A defect of the server is logged with its trace."""
    await bare_platform.pool.execute("ALTER TABLE secrets ADD CONSTRAINT broken CHECK (key_id = '')")
    with structlog.testing.capture_logs() as logs:
        response = await bare_platform.http.put("/secrets/A", json={"value": VALUE})
    assert response.status_code == 500
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["request.failed"]
    assert VALUE not in response.text + str(logs)
